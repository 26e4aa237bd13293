package layout

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// stomp overwrites something in the pool, more often than not beside a payload.
func (o *ownPool) stomp(r *rand.Rand) {
	at := node.HeadSize + r.IntN(len(o.region)-node.HeadSize)
	if len(o.live) > 0 && r.IntN(2) == 0 {
		b := o.live[r.IntN(len(o.live))]
		at = o.off(b) + len(b)
		if r.IntN(3) == 0 {
			at = max(o.off(b)-r.IntN(100), node.HeadSize)
		}
	}
	to := o.region[at:min(at+1+r.IntN(150), len(o.region))]
	switch r.IntN(4) {
	case 0:
		clear(to)
	case 1:
		copy(to, bytes.Repeat([]byte{'A'}, len(to)))
	case 2:
		for i := range to {
			to[i] = byte(r.Uint32())
		}
	case 3:
		copy(to, bytes.Clone(o.region[r.IntN(len(o.region)-len(to)):]))
	}
}

// A pool that is alive and a copy of its memory say the same of the same damage,
// but for what only the pool knows: its free nodes.
func TestOwnLive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		cfg := drawOwn(t)
		o := newOwn(t, cfg, 16<<10)
		o.churn(r, 100, 400)
		for range 1 + r.IntN(3) {
			o.stomp(r)
		}
		image := bytes.Clone(o.region)
		var live []heap.Finding
		if _, err := o.Check(func(f heap.Finding) { live = append(live, f) }); err != nil {
			t.Fatal(err)
		}
		snapshot, err := o.Snapshot()
		if err != nil || !bytes.Equal(image, o.region) {
			t.Fatal("the pool was changed", err)
		}
		nodes, dead, s := collect(findOwn(t, Bytes{o.Addr(), image}, Hints{PointerSize: bits.UintSize / 8}))
		hidden := func(a heap.Addr) bool {
			return slices.ContainsFunc(s.Gaps, func(g Gap) bool { return a > g.Start && a < g.End })
		}
		same := func(f *heap.Finding) func(heap.Finding) bool {
			return func(g heap.Finding) bool { return f.Node == g.Node && f.Kind == g.Kind }
		}
		for _, f := range live {
			i := slices.IndexFunc(dead, same(&f))
			switch {
			case f.Kind == heap.FreeIndexWrong || f.Kind == heap.TotalsWrong || f.Kind == heap.FreeDamaged:
				continue
			case i < 0 && hidden(f.Node):
				continue // the length of a free node in front is known only to the pool
			case i < 0:
				t.Fatalf("only the pool says %s", f)
			}
			g := dead[i]
			if g.Recovered != f.Recovered && (g.Recovered || f.Subject.State != heap.Quarantined) {
				t.Fatalf("recovered %v: %s; in the pool %v", g.Recovered, g, f.Recovered)
			}
			if d := cmp.Diff(f.Fields, g.Fields); d != "" || g.Span.Start >= f.Span.End || f.Span.Start >= g.Span.End {
				t.Fatalf("%s to %s, %s to %s, fields %s", f.Span.Start, f.Span.End, g.Span.Start, g.Span.End, d)
			}
		}
		for _, g := range dead {
			i := slices.IndexFunc(live, same(&g))
			if i < 0 {
				t.Fatalf("the pool does not say %s", g)
			}
			for _, c := range []*heap.Node{live[i].Culprit, g.Culprit} {
				if c != nil && c.Payload == 0 {
					t.Fatalf("blamed on one of the pool's own nodes: %s: %s; %s", g, live[i].CulpritReason, g.CulpritReason)
				}
			}
		}
		want := slices.DeleteFunc(snapshot.Nodes, func(n heap.Node) bool { return hidden(n.Addr) })
		if d := cmp.Diff(want, usedOnly(nodes), cmp.Comparer(sameStack)); d != "" {
			t.Fatal(d)
		}
	})
}

// Wherever the image ends, every node whose head is in it is listed; and wherever
// one piece of memory ends and the next begins, all are.
func TestOwnCut(t *testing.T) {
	for i, cfg := range []heapwright.Config{{}, {LeakCheck: true, RecordLR: 8}, {HeadBackup: true}, ownBoth} {
		r := rand.New(rand.NewPCG(uint64(i), 4))
		o := newOwn(t, cfg, 32<<10)
		o.churn(r, 200, 500)
		whole, _, _ := collect(findOwn(t, Bytes{o.Addr(), o.region}, Hints{}))
		cuts := []int{4096, 8192, 12288, 16384, 20480, 24576, 28672, len(o.region) - 1}
		for range 40 {
			cuts = append(cuts, 1024+r.IntN(len(o.region)-1024))
		}
		for _, cut := range cuts {
			nodes, findings, s := collect(findOwn(t, Bytes{o.Addr(), o.region[:cut]}, Hints{}))
			there := 0
			for there < len(whole) && int(whole[there].Payload-o.Addr()) <= cut&^15 {
				there++
			}
			if len(findings) > 0 || s.Partial == "" || len(s.Gaps) != 1 || s.Gaps[0].End != o.Addr()+heap.Addr(len(o.region)) {
				t.Errorf("%+v, cut at %d: %v, %+v", cfg, cut, findings, s)
			}
			if d := cmp.Diff(whole[:there], nodes, cmp.Comparer(sameStack)); d != "" {
				t.Errorf("%+v, cut at %d: %s", cfg, cut, d)
			}
			addr := heap.Addr(0x10000 + r.IntN(100))
			m := pieces{{Addr: addr, Bytes: o.region[:cut]}, {Addr: addr + heap.Addr(cut), Bytes: o.region[cut:]}}
			if nodes, findings, s := collect(findOwn(t, m, Hints{})); len(nodes) != len(whole) || len(findings) > 0 || s.Partial != "" {
				t.Errorf("%+v, pieces at %d: %d of %d nodes, %v, %s", cfg, cut, len(nodes), len(whole), findings, s.Partial)
			}
		}
	}
}

// A damaged pool head does not make up nodes where the image ends, and does not
// hide the next piece of memory.
func TestOwnHeadCut(t *testing.T) {
	for i, cfg := range []heapwright.Config{{}, {LeakCheck: true, RecordLR: 8}, {HeadBackup: true}, ownBoth} {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		o := newOwn(t, cfg, 32<<10)
		o.churn(r, 200, 500)
		whole, _, _ := collect(findOwn(t, Bytes{o.Addr(), o.region}, Hints{}))
		for _, at := range []int{3, 72} { // the magic, the end
			image := bytes.Clone(o.region)
			image[at] ^= 1
			for range 30 {
				cut := 4096 + r.IntN(len(image)-4096)
				nodes, findings, s := collect(findOwn(t, Bytes{o.Addr(), image[:cut]}, Hints{}))
				there := 0
				for there < len(whole) && int(whole[there].Payload-o.Addr()) <= cut&^15 {
					there++
				}
				if len(findings) != 1 || findings[0].Kind != heap.PoolHeadDamaged || findings[0].Recovered != (at == 3) || s.Partial == "" {
					t.Errorf("%+v, byte %d, cut at %d: %v, %s", cfg, at, cut, findings, s.Partial)
				}
				if d := cmp.Diff(whole[:there], nodes, cmp.Comparer(sameStack)); d != "" {
					t.Errorf("%+v, byte %d, cut at %d: %s", cfg, at, cut, d)
				}
				m := pieces{{Addr: 0x10000, Bytes: image[:cut]}, {Addr: 0x10000 + heap.Addr(cut), Bytes: image[cut:]}}
				if nodes, findings, s := collect(findOwn(t, m, Hints{})); at == 3 && (len(nodes) != len(whole) || len(findings) != 1 || s.Partial != "") {
					t.Errorf("%+v, pieces at %d: %d of %d nodes, %v, %s", cfg, cut, len(nodes), len(whole), findings, s.Partial)
				}
			}
		}
	}
}

// Of a lost header only the lengths are known. One bit of them that is wrong is a
// flipped bit only if the checksum is right without it.
func TestOwnOneBit(t *testing.T) {
	for name, c := range map[string]struct {
		at  int // a second damaged byte, in front of the payload
		bit bool
	}{"alone": {0, true}, "with others": {8, false}} {
		t.Run(name, func(t *testing.T) {
			o := newOwn(t, heapwright.Config{OnFinding: func(heap.Finding) {}}, 16<<10)
			for range 5 {
				o.alloc(t, 96, 1)
			}
			at := o.off(o.live[2])
			o.region[at-16] ^= 2
			if c.at != 0 {
				o.region[at-c.at] ^= 0x55
			}
			_, findings, _ := collect(findOwn(t, Bytes{o.Addr(), o.region}, Hints{}))
			if len(findings) != 1 || findings[0].Culprit != nil == c.bit || (findings[0].Reach == "one flipped bit, 0x05 in place of 0x07") != c.bit {
				t.Errorf("%v: %q, %q, culprit %+v", findings, findings[0].Reach, findings[0].Cause, findings[0].Culprit)
			}
		})
	}
}

// Nobody has a buffer behind the pool's own nodes.
func TestOwnEndNode(t *testing.T) {
	for _, cfg := range []heapwright.Config{{LeakCheck: true}, ownBoth, {HeadBackup: true}} {
		for _, n := range []int{4, 8, 12} {
			cfg.OnFinding = func(heap.Finding) {}
			o := newOwn(t, cfg, 16<<10)
			o.alloc(t, 96, 1)
			clear(o.region[len(o.region)-n:])
			for i := range n {
				o.region[len(o.region)-1-i] = 'A'
			}
			_, findings, _ := collect(findOwn(t, Bytes{o.Addr(), o.region}, Hints{}))
			o.Check(func(f heap.Finding) { findings = append(findings, f) })
			if len(findings) != 2 {
				t.Fatal(findings)
			}
			for _, f := range findings {
				if f.Culprit != nil && f.Culprit.Payload == 0 || !f.Recovered {
					t.Errorf("%+v, %d bytes: %s, %s: culprit %+v", cfg, n, f, f.Cause, f.Culprit)
				}
			}
		}
	}
}

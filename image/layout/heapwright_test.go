package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// ownPool is a live pool, whose memory is the image: the pool is the encoder of
// its layout.
type ownPool struct {
	*heapwright.Pool
	region []byte
	live   [][]byte
}

// tester is what testing.TB and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

// newOwn makes a pool in size bytes.
func newOwn(t tester, cfg heapwright.Config, size int) *ownPool {
	t.Helper()
	words := make([]uint64, size/8+1)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size+8)
	if uintptr(unsafe.Pointer(&b[0]))%16 != 0 {
		b = b[8:]
	}
	o := &ownPool{region: b[:size]}
	cfg.Region = o.region
	if cfg.Name == "" {
		cfg.Name = "own"
	}
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	o.Pool = p
	return o
}

func (o *ownPool) alloc(t tester, n int, owner heapwright.Owner) []byte {
	t.Helper()
	q, err := o.AllocWith(n, heapwright.Options{Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	b := unsafe.Slice((*byte)(q), n)
	for i := range b {
		b[i] = byte(n)
	}
	o.live = append(o.live, b)
	return b
}

// off is the offset of a payload in the pool.
func (o *ownPool) off(b []byte) int {
	return int(uintptr(unsafe.Pointer(&b[0])) - uintptr(unsafe.Pointer(&o.region[0])))
}

// churn does random operations.
func (o *ownPool) churn(r *rand.Rand, n, most int) {
	for range n {
		if i := len(o.live); i > 0 && r.IntN(5) < 2 {
			i = r.IntN(i)
			o.FreeBytes(o.live[i])
			o.live = slices.Delete(o.live, i, i+1)
			continue
		}
		size := 1 + r.IntN(most)
		opts := heapwright.Options{Owner: heapwright.Owner(r.IntN(4))}
		if r.IntN(6) == 0 {
			opts.Align = 8 << r.IntN(6)
		}
		if q, err := o.AllocWith(size, opts); err == nil {
			b := unsafe.Slice((*byte)(q), size)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			o.live = append(o.live, b)
		}
	}
}

func drawOwn(t *rapid.T) heapwright.Config {
	return heapwright.Config{
		LeakCheck: rapid.Bool().Draw(t, "leak check"), HeadBackup: rapid.Bool().Draw(t, "head backup"),
		RecordLR:  rapid.SampledFrom([]int{0, heapwright.None, 1, 4, 5, 8, 32}).Draw(t, "LRs"),
		OnFinding: func(heap.Finding) {},
	}
}

// in puts the pool's bytes into memory at addr with other bytes on both sides.
func in(addr heap.Addr, b []byte, r *rand.Rand, margin int) Bytes {
	data := make([]byte, margin, 2*margin+len(b))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return Bytes{addr - heap.Addr(margin), append(append(data, b...), data...)}
}

func findOwn(t tester, m heap.RAM, h Hints) *heapwrightPool {
	t.Helper()
	pools, notes, err := Find(m, h)
	if err != nil || len(pools) != 1 || len(notes) > 0 {
		t.Fatal(len(pools), notes, err)
	}
	return pools[0].(*heapwrightPool)
}

// collect gives everything that a walk gives.
func collect(p Pool) (nodes []heap.Node, findings []heap.Finding, s Survey) {
	s = p.Walk(func(n *heap.Node) bool {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		nodes = append(nodes, c)
		return true
	}, func(f *heap.Finding) { findings = append(findings, *f) })
	return nodes, findings, s
}

func usedOnly(nodes []heap.Node) []heap.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n heap.Node) bool { return n.State != heap.Used })
}

// What a pool says of itself is what is read from its memory, wherever that lies.
func TestOwnClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		o := newOwn(t, drawOwn(t), 64<<10)
		o.churn(r, 200, rapid.SampledFrom([]int{40, 300, 4000}).Draw(t, "most"))
		addr := o.Addr() + heap.Addr(rapid.SampledFrom([]int{0, 0, 4096, 16, 3, 1}).Draw(t, "moved"))
		p := findOwn(t, in(addr, bytes.Clone(o.region), r, rapid.IntRange(0, 5000).Draw(t, "margin")), Hints{PointerSize: 8})
		want, err := o.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		nodes, findings, s := collect(p)
		if len(findings) > 0 || s.Partial != "" || len(s.Gaps) > 0 || len(s.Patches) > 0 {
			t.Fatalf("findings %v, %+v", findings, s)
		}
		for i := range want.Nodes {
			want.Nodes[i].Addr += addr - o.Addr()
			want.Nodes[i].Payload += addr - o.Addr()
		}
		if d := cmp.Diff(want.Nodes, usedOnly(nodes), cmp.Comparer(sameStack)); d != "" {
			t.Fatal(d)
		}
		want.Stats.Waterline = 0
		if s.Stats != want.Stats {
			t.Fatalf("stats %+v, the pool says %+v", s.Stats, want.Stats)
		}
		a := p.About()
		if a.Name != "own" || a.Base != o.Addr() || a.Span.Start != addr || a.Sound != a.Seen || a.Seen != len(nodes)+2 || len(a.Doubts) > 0 {
			t.Fatalf("%+v", a)
		}
		if a.Tick > want.Tick || a.TickHz != want.TickHz || a.TickHz != 0 && a.Tick == 0 {
			t.Fatalf("tick %d at %d Hz, the pool's is %d", a.Tick, a.TickHz, want.Tick)
		}
	})
}

// repaired applies patches to a copy of memory.
func repaired(m Bytes, patches []Patch) Bytes {
	b := bytes.Clone(m.Data)
	for _, p := range patches {
		copy(b[p.Addr-m.Addr:], p.New)
	}
	return Bytes{m.Addr, b}
}

// Whatever is overwritten: the walk ends, damage to what the allocator wrote is
// reported, every node whose head was not touched is listed as it was, and after
// the repair of what can be repaired nothing of that is left.
func TestOwnDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		cfg := drawOwn(t)
		o := newOwn(t, cfg, 32<<10)
		o.churn(r, 120, 500)
		m := Bytes{o.Addr(), bytes.Clone(o.region)}
		before, _, _ := collect(findOwn(t, m, Hints{}))
		clean := bytes.Clone(m.Data)
		for range rapid.IntRange(1, 3).Draw(t, "stomps") {
			at := rapid.IntRange(node.HeadSize, len(m.Data)-1).Draw(t, "at")
			n := min(rapid.IntRange(1, 200).Draw(t, "length"), len(m.Data)-at)
			switch rapid.IntRange(0, 3).Draw(t, "pattern") {
			case 0:
				clear(m.Data[at : at+n])
			case 1:
				copy(m.Data[at:], bytes.Repeat([]byte{0xff}, n))
			case 2:
				copy(m.Data[at:], rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes"))
			case 3:
				from := rapid.IntRange(0, len(m.Data)-n).Draw(t, "from")
				copy(m.Data[at:at+n], clean[from:])
			}
		}
		image := bytes.Clone(m.Data)
		p := findOwn(t, m, Hints{})
		after, findings, s := collect(p)
		if !bytes.Equal(image, m.Data) {
			t.Fatal("the walk wrote to the image")
		}
		hit := false
		for _, n := range before {
			from, to := n.Addr-m.Addr, n.Payload-m.Addr
			if !bytes.Equal(m.Data[from:to], clean[from:to]) {
				hit = true
				continue
			}
			i := slices.IndexFunc(after, func(a heap.Node) bool { return a.Addr == n.Addr })
			if i < 0 || !cmp.Equal(after[i], n, cmp.Comparer(sameStack)) {
				t.Fatalf("the untouched node %+v is not listed", n)
			}
		}
		if hit && len(findings) == 0 {
			t.Fatal("damage to a head was not reported")
		}
		_, left, _ := collect(findOwn(t, repaired(m, s.Patches), Hints{}))
		for _, f := range left {
			if f.Recovered {
				t.Fatalf("after the repair of %v there is %s", findings, f)
			}
		}
		// Of the number in a free node there is no copy.
		left = slices.DeleteFunc(left, func(f heap.Finding) bool { return f.Kind == heap.FreeDamaged })
		if lost := slices.ContainsFunc(findings, func(f heap.Finding) bool { return !f.Recovered }); !lost && len(left) > 0 {
			t.Fatalf("after the repair of %v there are %v", findings, left)
		}
	})
}

var ownBoth = heapwright.Config{LeakCheck: true, HeadBackup: true, OnFinding: func(heap.Finding) {}}

// The bytes tell who did it, and a repair restores them.
func TestOwnOverflow(t *testing.T) {
	o := newOwn(t, ownBoth, 16<<10)
	x, y := o.alloc(t, 96, 3), o.alloc(t, 96, 7)
	o.alloc(t, 96, 7)
	m := Bytes{o.Addr(), bytes.Clone(o.region)}
	head := int(o.off(y) - o.off(x) - 96)
	for i := range head {
		m.Data[o.off(x)+96-4+i] = 'A'
	}
	p := findOwn(t, m, Hints{})
	_, findings, s := collect(p)
	if len(findings) != 1 {
		t.Fatal(findings)
	}
	f := findings[0]
	if f.Kind != heap.HeaderDamaged || !f.Recovered || f.Subject == nil || f.Subject.Owner != 7 || f.Subject.Size != 96 || len(f.Subject.Stack) == 0 {
		t.Errorf("finding %+v of %+v", f, f.Subject)
	}
	if f.Culprit == nil || f.Culprit.Owner != 3 || !strings.Contains(f.Cause, "task 3's buffer of 96 bytes") || !strings.Contains(f.Reach, "'A' (0x41) repeated, as in the last 4 bytes in front") {
		t.Errorf("culprit %+v: %s; %s", f.Culprit, f.Cause, f.Reach)
	}
	if got := repaired(m, s.Patches).Data[o.off(y)-head : o.off(y)]; !bytes.Equal(got, o.region[o.off(y)-head:o.off(y)]) {
		t.Errorf("restored % x", got)
	}
	fields := p.Fields(&heap.Node{Addr: f.Node, Total: f.Subject.Total})
	for i := range fields {
		if wrong := strings.HasSuffix(fields[i].Name, "checksum") || fields[i].Name == "size"; (fields[i].Wrong != "") != wrong {
			t.Errorf("field %+v", fields[i])
		}
	}
}

// The overflow that ends in the backup, and one through several nodes.
func TestOwnCulprits(t *testing.T) {
	for name, length := range map[string]int{"into the backup": 16, "through two nodes": 2*(64+96) + 64} {
		t.Run(name, func(t *testing.T) {
			o := newOwn(t, ownBoth, 16<<10)
			x := o.alloc(t, 96, 3)
			for range 4 {
				o.alloc(t, 96, 7)
			}
			m := Bytes{o.Addr(), bytes.Clone(o.region)}
			for i := range length {
				m.Data[o.off(x)+96+i] = 'A'
			}
			_, findings, _ := collect(findOwn(t, m, Hints{}))
			if len(findings) == 0 {
				t.Fatal("nothing found")
			}
			for _, f := range findings {
				if f.Culprit == nil || f.Culprit.Owner != 3 {
					t.Errorf("%s: %s; culprit %+v", f, f.Cause, f.Culprit)
				}
			}
		})
	}
}

// Without backups nothing can be restored, but a damaged header is told and the
// rest is listed.
func TestOwnWithoutBackup(t *testing.T) {
	o := newOwn(t, heapwright.Config{LeakCheck: true}, 16<<10)
	for range 5 {
		o.alloc(t, 96, 1)
	}
	m := Bytes{o.Addr(), bytes.Clone(o.region)}
	clear(m.Data[o.off(o.live[2])-32 : o.off(o.live[2])])
	nodes, findings, s := collect(findOwn(t, m, Hints{}))
	if len(findings) != 1 || findings[0].Recovered || len(usedOnly(nodes)) != 4 || s.Partial != "" {
		t.Errorf("%v, %d nodes, %+v", findings, len(nodes), s)
	}
}

func TestOwnSeveral(t *testing.T) {
	m := Bytes{Addr: 0x7000}
	for i := range 3 {
		o := newOwn(t, heapwright.Config{Name: fmt.Sprint("pool ", i), LeakCheck: i > 0, HeadBackup: i > 1}, 8<<10)
		o.alloc(t, 100+i, 0)
		m.Data = append(append(m.Data, make([]byte, 1000+8*i)...), o.region...)
	}
	pools, _, err := Find(m, Hints{})
	if err != nil || len(pools) != 3 {
		t.Fatal(len(pools), err)
	}
	for i, p := range pools {
		if nodes, _, _ := collect(p); p.About().Name != fmt.Sprint("pool ", i) || usedOnly(nodes)[0].Size != uint64(100+i) {
			t.Errorf("%+v: %+v", p.About(), nodes)
		}
	}
}

// A pool that lies in several pieces of memory, and one with a hole behind them.
func TestOwnPieces(t *testing.T) {
	o := newOwn(t, ownBoth, 16<<10)
	for range 60 {
		o.alloc(t, 96, 1)
	}
	at := o.Addr()
	for name, c := range map[string]struct {
		m     heap.RAM
		whole bool
	}{
		"pieces":    {pieces{{Addr: at, Bytes: o.region[:5000]}, {Addr: at + 5000, Bytes: o.region[5000:]}}, true},
		"hole":      {pieces{{Addr: at, Bytes: o.region[:3000]}, {Addr: at + 3000, Bytes: o.region[3000:5000]}, {Addr: at + 8000, Bytes: o.region[8000:]}}, false},
		"truncated": {Bytes{at, o.region[:5000]}, false},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, findings, s := collect(findOwn(t, c.m, Hints{}))
			if len(findings) > 0 || (s.Partial == "") != c.whole {
				t.Fatalf("%v, %+v", findings, s)
			}
			want := 60
			if !c.whole {
				want = len(usedOnly(nodes))
				if want < 25 || want > 35 || !strings.Contains(s.Partial, "5000") && !strings.Contains(s.Partial, "4992") {
					t.Fatalf("%d nodes: %s", want, s.Partial)
				}
			}
			if len(usedOnly(nodes)) != want {
				t.Errorf("%d nodes", len(usedOnly(nodes)))
			}
		})
	}
}

// What of a damaged pool head can be restored, and what not.
func TestOwnHead(t *testing.T) {
	for _, c := range []struct {
		name      string
		at, n     int
		fill      byte
		found     bool
		recovered bool
		verified  bool
	}{
		{"magic", 0, 8, 'A', true, true, true},
		{"magic to omit", 0, 20, 0xff, true, true, true},
		{"end", 72, 4, 0xff, true, true, true},
		{"base", 32, 8, 0, true, true, true},
		{"name", 80, 8, 0, true, false, true},
		{"checksum", 248, 8, 1, true, false, true},
		{"secret", 24, 8, 0x55, true, false, false},
		{"everything", 0, 256, 'A', true, false, false},
	} {
		for _, cfg := range []heapwright.Config{{}, {LeakCheck: true, RecordLR: 2}, {HeadBackup: true}, ownBoth} {
			t.Run(fmt.Sprintf("%s/leak=%v,backup=%v", c.name, cfg.LeakCheck, cfg.HeadBackup), func(t *testing.T) {
				o := newOwn(t, cfg, 16<<10)
				for i := range 30 {
					o.alloc(t, 10+i, 1)
				}
				m := Bytes{o.Addr(), bytes.Clone(o.region)}
				for i := range c.n {
					m.Data[c.at+i] = c.fill
				}
				p := findOwn(t, m, Hints{})
				nodes, findings, s := collect(p)
				if len(usedOnly(nodes)) != 30 || nodes[0].Payload-p.About().Span.Start != heap.Addr(o.off(o.live[0])) {
					t.Fatalf("%d nodes, the first %+v\n%+v", len(nodes), nodes[0], p.About())
				}
				if (s.Partial == "") != c.verified {
					t.Errorf("partial: %s", s.Partial)
				}
				if len(findings) != 1 || findings[0].Kind != heap.PoolHeadDamaged || findings[0].Recovered != c.recovered {
					t.Fatalf("findings %v", findings)
				}
				if c.recovered {
					if got := repaired(m, s.Patches).Data; !bytes.Equal(got, o.region) {
						t.Error("the repair is not what was there")
					}
					first, last := differ(m.Data, o.region)
					if want := (heap.Span{Start: m.Addr + heap.Addr(first), End: m.Addr + heap.Addr(last)}); findings[0].Span != want {
						t.Errorf("%d bytes of the head were overwritten, %d reported", want.Len(), findings[0].Span.Len())
					}
				}
			})
		}
	}
}

func TestOwnOtherByteOrder(t *testing.T) {
	o := newOwn(t, ownBoth, 16<<10)
	b := bytes.Clone(o.region)
	slices.Reverse(b[8:12])
	pools, notes, err := Find(Bytes{o.Addr(), b}, Hints{})
	if err == nil || len(pools) > 0 || len(notes) != 1 || !strings.Contains(notes[0], "byte order") {
		t.Errorf("%d pools, notes %v, %v", len(pools), notes, err)
	}
}

// A file that a process left, read as it is: addresses are offsets, and Base says
// where they belong.
func TestOwnFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool")
	cfg := ownBoth
	cfg.File, cfg.MaxSize, cfg.Region = path, 1<<20, nil
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Skip(err)
	}
	base := p.Addr()
	q, err := p.Alloc(100)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p.Free(q)
	p.Close()
	r := findOwn(t, Bytes{0, b}, Hints{})
	nodes, _, _ := collect(r)
	a := r.About()
	if a.Base != base || len(usedOnly(nodes)) != 1 || usedOnly(nodes)[0].Payload+a.Base != heap.Addr(uintptr(q)) {
		t.Errorf("%+v, %+v, payload at %p", a, nodes, q)
	}
	frames := heapwright.Frames(usedOnly(nodes)[0].Stack)
	if len(frames) == 0 || !strings.HasSuffix(frames[0].Function, "layout.TestOwnFile") {
		t.Errorf("frames %v", frames)
	}
}

// Writing to freed memory shows where the pool keeps something there.
func TestOwnWriteAfterFree(t *testing.T) {
	o := newOwn(t, ownBoth, 64<<10)
	x := o.alloc(t, 3008, 2)
	o.alloc(t, 10, 2)
	o.FreeBytes(x)
	b := bytes.Clone(o.region)
	copy(b[o.off(x):], "written after free")
	_, findings, _ := collect(findOwn(t, Bytes{o.Addr(), b}, Hints{}))
	if len(findings) != 1 || findings[0].Kind != heap.FreeDamaged || findings[0].Culprit == nil || len(findings[0].Culprit.Stack) == 0 {
		t.Errorf("findings %+v", findings)
	}
}

func TestOwnFields(t *testing.T) {
	o := newOwn(t, ownBoth, 16<<10)
	o.alloc(t, 90, 5)
	p := findOwn(t, Bytes{o.Addr(), o.region}, Hints{})
	nodes, _, _ := collect(p)
	for i := range nodes {
		fields := p.Fields(&nodes[i])
		byName := map[string]Field{}
		for k, f := range fields {
			byName[f.Name] = f
			if f.Wrong != "" || f.Start < nodes[i].Addr || f.End > nodes[i].Payload+4 || k > 0 && f.Start < fields[k-1].Start {
				t.Errorf("field %+v", f)
			}
		}
		if nodes[i].State == heap.Used && (byName["owner"].Value != "5" || byName["slack"].Value != "6" || byName["size"].Value != fmt.Sprint(nodes[i].Total)) {
			t.Errorf("fields %+v", fields)
		}
	}
	if p.Fields(&heap.Node{Addr: 5}) != nil || p.Fields(&heap.Node{Addr: p.About().Span.End, Total: 1 << 60}) != nil {
		t.Error("fields of what is no node")
	}
}

// Heads that claim everything, within each other, and magics everywhere.
func TestOwnHostile(t *testing.T) {
	everywhere := bytes.Repeat([]byte(node.Magic), 1<<15)
	o := newOwn(t, ownBoth, 64<<10)
	nested := bytes.Clone(o.region)
	for at := node.HeadSize; at+node.HeadSize < len(nested); at += node.HeadSize {
		copy(nested[at:], o.region[:node.HeadSize])
	}
	far := bytes.Clone(o.region)
	binary.NativeEndian.PutUint32(far[72:], 1<<32-1)
	for name, b := range map[string][]byte{
		"magics": everywhere, "heads": nested, "end": far, "ones": bytes.Repeat([]byte{0xff}, 1<<16),
		"zeroes": append(bytes.Clone(o.region[:node.HeadSize]), make([]byte, 60<<10)...),
	} {
		t.Run(name, func(t *testing.T) {
			pools, _, _ := Find(Bytes{o.Addr(), b}, Hints{System: "heapwright"})
			for _, p := range pools {
				collect(p)
			}
		})
	}
}

package layout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// TestCutDumps: of a real dump that was cut, all nodes are listed whose heads are
// there, wherever it was cut and whether or not the pool's place is given. Nearly
// all nodes lie in the first 400 KiB of the 16 MiB.
func TestCutDumps(t *testing.T) {
	const inUse = 400 << 10
	for _, d := range []struct {
		name   string
		addr   heap.Addr
		layout LiteOS
	}{{"leak-after", 0x568c0, leakOnly}, {"both-clean", 0x578c0, both}} {
		m := dump(t, d.name, d.addr)
		whole, _, _ := walked(open(t, d.name, d.addr))
		head := d.layout.Offsets().Head
		for _, of := range []int{inUse, len(m.Data)} {
			for _, percent := range []int{1, 5, 20, 50, 80} {
				cut := Bytes{m.Addr, m.Data[:of/100*percent]}
				for _, h := range []Hints{{}, {At: d.addr}, {Config: map[string]string{"LOSCFG_MEM_LEAKCHECK": "y"}}} {
					t.Run(fmt.Sprintf("%s/%d%%_of_%d/at_%s,config=%t", d.name, percent, of, h.At, h.Config != nil), func(t *testing.T) {
						checkCut(t, cut, h, d.layout, head, whole)
					})
				}
			}
		}
	}
}

// checkCut checks that a cut pool is found and that all of its nodes are given
// out whose heads are there.
func checkCut(t *testing.T, cut Bytes, h Hints, l LiteOS, head int, whole []heap.Node) {
	want := 0
	end := cut.Addr + heap.Addr(len(cut.Data))
	for want < len(whole) && whole[want].Addr+heap.Addr(head) <= end {
		want++
	}
	found, _ := pools(cut, h)
	if want < leastRow && h.At == 0 {
		if len(found) > 0 {
			t.Errorf("%d nodes are taken for a pool", want)
		}
		return
	}
	if len(found) != 1 || found[0].Layout != l {
		t.Fatalf("%d nodes are there; found %+v", want, found)
	}
	nodes, findings, s := walked(found[0])
	if len(findings) > 0 || s.Partial == "" {
		t.Errorf("findings %v, partial %q", findings, s.Partial)
	}
	checkSeen(t, found[0], nodes, s)
	if l.HeadBackup && len(nodes) > want && len(nodes) <= want+2 {
		for i, n := range nodes[want:] { // their backups lie in the nodes in front
			if n.Stack != nil || n.Addr != whole[want+i].Addr || n.Total != whole[want+i].Total {
				t.Errorf("a node known by its backup: %+v", n)
			}
		}
		nodes = nodes[:want]
	}
	if diff := cmp.Diff(whole[:want], nodes); diff != "" {
		t.Errorf("nodes (-whole +cut):\n%s", diff)
	}
}

// TestCutAnyhow cuts small pools at every word. What is found is what is there.
func TestCutAnyhow(t *testing.T) {
	for _, l := range []LiteOS{
		{},
		{LeakCheck: true, LRs: 3},
		{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 8, MulPool: true},
		{LeakCheck: true, LRs: 3, HeadBackup: true, Bits64: true},
	} {
		h := four(l, true)
		if l.LRs == 0 {
			for i := range h.Nodes {
				h.Nodes[i].Stack = nil
			}
		}
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(pool) / 4 {
			m := Bytes{h.Addr, pool[:4*n]}
			p := openAs(m, h.Addr, l)
			if p == nil {
				continue // nothing but a part of the pool's head
			}
			nodes, findings, s := walked(p)
			checkSeen(t, p, nodes, s)
			if len(findings) > 0 || s.Partial == "" {
				t.Errorf("%s, %d bytes: findings %v, partial %q", l, 4*n, findings, s.Partial)
			}
			for _, n := range nodes {
				if !slices.Contains(starts, n.Addr) {
					t.Errorf("%s, %d bytes: there is no node %s", l, len(m.Data), n.Addr)
				}
			}
		}
	}
}

// TestNoPool: neither noise nor the head of a former pool, whose end is not in the
// image, is taken for a pool.
func TestNoPool(t *testing.T) {
	const base, end = 0x20000, 1 << 20
	r := rand.New(rand.NewPCG(1, 2))
	noise := func() Bytes {
		m := Bytes{base, make([]byte, end)}
		for i := 0; i < len(m.Data); i += 4 {
			putWord(m.Data[i:], 4, uint64(r.Uint32()))
		}
		return m
	}
	for range 8 {
		m := noise()
		for i := 0; i < len(m.Data); i += 4096 { // heads, with lists that lead behind the image
			at := uint64(base + i)
			putWord(m.Data[i:], 4, at)
			putWord(m.Data[i+4:], 4, 2*end)
			for k := 8; k < 8+8*freeLists; k += 4 {
				putWord(m.Data[i+k:], 4, base+end+uint64(r.IntN(end))&^7)
			}
		}
		if found, _ := pools(m, Hints{}); len(found) > 0 {
			t.Errorf("found in noise: %+v", found[0].about)
		}
	}
	l := LiteOS{LeakCheck: true, LRs: 3}
	h := four(l, true)
	h.Addr = base
	pool, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for keep := range leastRow { // nodes of the former pool that are left
		m := noise()
		copy(m.Data, pool[:starts[keep]-h.Addr])
		const size = 2 * end
		putWord(m.Data[4:], 4, size)
		putWord(m.Data[l.Offsets().FirstNode+l.Offsets().Prev:], 4, base+size-uint64(l.Offsets().Head))
		if found, _ := pools(m, Hints{}); len(found) > 0 {
			t.Errorf("%d nodes of a former pool: %+v", keep, found[0].about)
		}
	}
}

// TestHeadless: that a pool's head is missing is said, whether or not it is known
// where the dump begins.
func TestHeadless(t *testing.T) {
	m := dump(t, "both-clean", 0x578c0)
	m.Addr, m.Data = m.Addr+0x1000, m.Data[0x1000:1<<20]
	for addr, want := range map[heap.Addr]string{
		m.Addr: "magics of LiteOS nodes, but no pool's head, which is needed",
		0:      "magics of LiteOS nodes, if it begins at 0x588c0, but no pool's head, which is needed",
	} {
		_, notes, err := Find(Bytes{addr, m.Data}, Hints{})
		if err == nil || len(notes) != 1 || !strings.Contains(notes[0], want) {
			t.Errorf("at %s: notes %q, error %v", addr, notes, err)
		}
	}
	for i := range m.Data {
		m.Data[i] = byte(i / 4 >> (i % 4 * 8))
	}
	if _, notes, err := Find(m, Hints{}); err == nil || len(notes) > 0 {
		t.Errorf("in numbers: notes %q, error %v", notes, err)
	}
}

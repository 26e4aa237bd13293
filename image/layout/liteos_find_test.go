package layout

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// pieces is memory with holes.
type pieces []heap.Memory

func (p pieces) Spans() []heap.Memory { return p }

func (p pieces) View(addr heap.Addr, n uint64) []byte {
	for _, s := range p {
		if v := (Bytes{s.Addr, s.Bytes}).View(addr, n); v != nil {
			return v
		}
	}
	return nil
}

// TestSeveralPools: chained pools in different pieces of memory are all found,
// one of them though its head no longer points to itself.
func TestSeveralPools(t *testing.T) {
	l := LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, MulPool: true}
	a, b := four(l, false), four(l, true)
	a.Addr, b.Addr = 0x20000, 0x90000
	a.Next = b.Addr
	first, _, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	ram := pieces{{Addr: a.Addr, Bytes: first}, {Addr: b.Addr, Bytes: second}}
	found, _ := pools(ram, Hints{})
	if len(found) != 2 || found[0].Addr != a.Addr || found[0].Next != b.Addr || found[1].Addr != b.Addr {
		t.Fatalf("%+v", found)
	}
	second[0] ^= 0xff
	if _, findings, _ := walked(openAt(ram, b.Addr)); len(findings) != 1 || findings[0].Kind != heap.PoolHeadDamaged {
		t.Errorf("findings %v", findings)
	}
}

// TestCutShort: of a dump that ends in the middle of the pool all nodes up to
// there are listed, and what is missing is said.
func TestCutShort(t *testing.T) {
	m := dump(t, "both-clean", 0x578c0)
	whole, _, _ := walked(open(t, "both-clean", 0x578c0))
	m.Data = m.Data[:0x40000]
	found, _ := pools(m, Hints{})
	if len(found) != 1 || len(found[0].about.Doubts) == 0 {
		t.Fatalf("found %+v", found)
	}
	nodes, findings, s := walked(found[0])
	if len(findings) != 0 || !strings.Contains(s.Partial, "16156480 of its 16418624 bytes are not in the image") || len(s.Gaps) != 1 || s.Gaps[0].Why != "not in the image" {
		t.Errorf("findings %v, gaps %v, %q", findings, s.Gaps, s.Partial)
	}
	if !strings.Contains(s.Partial, "the device itself counted 390992 bytes in use") {
		t.Errorf("partial %q", s.Partial)
	}
	checkSeen(t, found[0], nodes, s)
	want := 1 // the first that is not there: its backup is
	for _, n := range whole {
		if n.Addr+72 <= 0x578c0+0x40000 {
			want++
		}
	}
	if len(nodes) != want {
		t.Errorf("%d nodes, want %d", len(nodes), want)
	}
}

// checkSeen checks that the totals are those of the nodes that were seen.
func checkSeen(t *testing.T, p *LiteOSPool, nodes []heap.Node, s Survey) {
	t.Helper()
	want := heap.Stats{Size: p.Size, Used: uint64(p.Layout.Offsets().FirstNode), Waterline: s.Stats.Waterline}
	for _, n := range nodes {
		if n.State == heap.Free {
			want.Free += n.Total
			want.FreeNodes++
			want.LargestFree = max(want.LargestFree, n.Total)
		} else {
			want.Used += n.Total
			want.UsedNodes++
		}
	}
	if head := uint64(p.Layout.Offsets().Head); want.Used+want.Free+head == p.Size && s.Stats.Used != want.Used {
		want.Used += head // the end node, or the backup of its header
	}
	if diff := cmp.Diff(want, s.Stats); diff != "" {
		t.Errorf("totals (-nodes +totals):\n%s", diff)
	}
}

// TestAmongLists: lists that are empty point to themselves as a pool's head does.
// A pool in memory full of them is found, by its end node and without one.
func TestAmongLists(t *testing.T) {
	h := four(LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}, true)
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := Bytes{Addr: h.Addr - 0x20000, Data: make([]byte, 0x40000)}
	for i := 0; i < len(m.Data); i += 8 {
		putWord(m.Data[i:], 4, uint64(m.Addr)+uint64(i))
		putWord(m.Data[i+4:], 4, uint64(m.Addr)+uint64(i))
	}
	copy(m.Data[0x20000:], pool)
	if found, _ := pools(m, Hints{}); len(found) != 1 || found[0].Addr != h.Addr {
		t.Errorf("found %+v", found)
	}
	clear(m.Data[0x20000+len(pool)-8:][:8])
	if found, _ := pools(m, Hints{}); len(found) != 1 || found[0].Addr != h.Addr {
		t.Errorf("with a damaged end node: %+v", found)
	}
}

// TestEveryHead: the head of a pool is recognised for what it is, whatever of it
// is configured. The word for the next pool is as long as the counts of one task
// on a 64-bit machine.
func TestEveryHead(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, mul := range []bool{false, true} {
			for _, tasks := range []int{0, 1, 15, 64, 128} {
				l := LiteOS{Bits64: wide, HeadBackup: true, TaskStat: tasks > 0, Tasks: tasks, MulPool: mul}
				h := four(l, true)
				h.Nodes[1].Task = uint16(tasks)
				pool, _, err := h.Encode()
				if err != nil {
					t.Fatal(err)
				}
				found, _ := pools(Bytes{Addr: h.Addr, Data: pool}, Hints{})
				if len(found) != 1 || found[0].Layout != l || len(found[0].about.Doubts) > 0 {
					t.Errorf("%s: found %+v", l, found)
				}
			}
		}
	}
}

// TestFormerHead: the head of a former pool that reaches over the one that is
// there now, to the same end node, and lists in front of its nodes, do not hide
// that.
func TestFormerHead(t *testing.T) {
	for _, l := range everyKind {
		h := fiveOf(l)
		pool, _, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		o := l.Offsets()
		former := h.Addr - 0x1000
		m := Bytes{Addr: former, Data: append(make([]byte, 0x1000), pool...)}
		putWord(m.Data, o.Word, uint64(former))
		putWord(m.Data[o.PoolSize:], 4, uint64(len(m.Data)))
		for i := range 2 * freeLists {
			putWord(m.Data[o.Lists+i*o.Word:], o.Word, uint64(former)+uint64(o.Lists+i&^1*o.Word))
		}
		found, _ := pools(m, Hints{})
		if len(found) != 1 || found[0].Addr != h.Addr {
			t.Errorf("%s: found %+v", l, found)
		}
	}
}

// TestPoolInABuffer: that a chained pool lies in a buffer of the other is said.
func TestPoolInABuffer(t *testing.T) {
	l := LiteOS{HeadBackup: true, MulPool: true}
	inner := fiveOf(l)
	outer := fiveOf(l)
	outer.Nodes[1].Size = 4000
	_, starts, err := outer.Encode()
	if err != nil {
		t.Fatal(err)
	}
	inner.Addr = starts[1] + 0x100
	b, _, err := inner.Encode()
	if err != nil {
		t.Fatal(err)
	}
	outer.Next = inner.Addr
	m, _, err := outer.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(m[inner.Addr-outer.Addr:], b)
	found, notes := pools(Bytes{Addr: outer.Addr, Data: m}, Hints{})
	if len(found) != 1 || found[0].Addr != outer.Addr || len(notes) != 1 || !strings.Contains(notes[0], inner.Addr.String()) {
		t.Errorf("found %+v, notes %q", found, notes)
	}
}

// bigEndian is memory of a machine of that byte order.
type bigEndian struct{ Bytes }

func (bigEndian) Order() binary.ByteOrder { return binary.BigEndian }

func TestBigEndian(t *testing.T) {
	_, notes, err := Find(bigEndian{Bytes{0x1000, make([]byte, 0x1000)}}, Hints{})
	if err == nil || len(notes) != 1 || !strings.Contains(notes[0], "big-endian") {
		t.Errorf("%v, notes %q", err, notes)
	}
}

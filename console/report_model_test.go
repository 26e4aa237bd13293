package console

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// p formats a pointer as LiteOS's %p does.
func p(v uint64) string {
	if v == 0 {
		return "(nil)"
	}
	return fmt.Sprintf("%#x", v)
}

// A model is a piece of a heap of a LiteOS device that prints reports about it
// as los_memory.c does.
type model struct {
	strings.Builder
	lay liteosLayout
}

// modelHeader is a control header at an address.
type modelHeader struct {
	at, prev, next, pre, sum uint64
	gap, size                uint32
}

func (h *modelHeader) checksum() uint64 {
	return h.prev ^ h.next ^ h.pre ^ uint64(h.gap) ^ uint64(h.size) ^ 0xdeadbeef
}

// bytes is the header as it lies in memory, LRs and padding as 0xee.
func (h *modelHeader) bytes(l liteosLayout) []byte {
	b := bytes.Repeat([]byte{0xee}, l.ctl)
	for i, v := range []uint64{h.prev, h.next, h.pre} {
		if l.word == 8 {
			binary.LittleEndian.PutUint64(b[8*i:], v)
		} else {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
		}
	}
	binary.LittleEndian.PutUint32(b[l.gap:], h.gap)
	if l.word == 8 {
		binary.LittleEndian.PutUint64(b[l.sum:], h.sum)
	} else {
		binary.LittleEndian.PutUint32(b[l.sum:], uint32(h.sum))
	}
	binary.LittleEndian.PutUint32(b[l.ctl-4:], h.size)
	return b
}

// read is the inverse of bytes.
func (h *modelHeader) read(b []byte, l liteosLayout) {
	word := func(at int) uint64 {
		if l.word == 8 {
			return binary.LittleEndian.Uint64(b[at:])
		}
		return uint64(binary.LittleEndian.Uint32(b[at:]))
	}
	h.prev, h.next, h.pre, h.sum = word(0), word(l.word), word(2*l.word), word(l.sum)
	h.gap, h.size = binary.LittleEndian.Uint32(b[l.gap:]), binary.LittleEndian.Uint32(b[l.ctl-4:])
}

// control prints a header as it stands at an address.
func (m *model) control(at uint64, h *modelHeader) {
	fmt.Fprintf(m, "node:%s checksum=%s[%s] freeNodeInfo.pstPrev=%s freeNodeInfo.pstNext=%s preNode=%s gapSize=0x%x sizeAndFlag=0x%x\r\n",
		p(at), p(h.sum), p(h.checksum()), p(h.prev), p(h.next), p(h.pre), h.gap, h.size)
}

// details prints what OsMemDispMoreDetails does of the node with header h.
func (m *model) details(h *modelHeader, task string) {
	m.WriteString("[ERR]************************************************\r\n")
	m.control(h.at, h)
	fmt.Fprintf(m, "[ERR]the address of node :%s\r\n", p(h.at-uint64(m.lay.slot)))
	if h.size&liteosUsed == 0 {
		m.WriteString("[ERR]this is a FREE node\r\n")
	} else {
		fmt.Fprintf(m, "[ERR]allocated by task: %s [ID = 0x%x]\r\n", task, m.task(h))
	}
	m.WriteString("[ERR]************************************************\r\n\r\n")
}

func (m *model) task(h *modelHeader) uint64 {
	if m.lay.word == 8 {
		return h.prev >> 32 & 0xffff
	}
	return h.next & 0xffff
}

// node makes a right header for a node of so many bytes at start.
func (m *model) node(start, pre uint64, total uint32, used bool, task uint64) *modelHeader {
	h := &modelHeader{at: start + uint64(m.lay.slot), pre: pre, size: total}
	if used {
		h.size |= liteosUsed
		h.prev = uint64(^uint32(h.at))
		if m.lay.word == 8 {
			h.prev |= task << 32
		} else {
			h.next = task
		}
	} else {
		h.prev, h.next = start-64, start+8192
	}
	h.sum = h.checksum()
	return h
}

func backupLayouts() []liteosLayout {
	var with []liteosLayout
	for _, l := range liteosLayouts {
		if l.slot > 0 {
			with = append(with, l)
		}
	}
	return with
}

// Whatever bytes of whatever header are overwritten, on whatever build: the
// finding names the node, the bytes that the device's report shows to be
// wrong, and the node in front.
func TestReportsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{lay: rapid.SampledFrom(backupLayouts()).Draw(t, "layout")}
		base := rapid.Uint64Range(1<<16, 1<<24).Draw(t, "base") &^ 7
		if m.lay.word == 8 {
			base += rapid.SampledFrom([]uint64{0, 0xffffffc000000000}).Draw(t, "high")
		}
		total := uint32(rapid.IntRange(m.lay.head()+8, 1<<16).Draw(t, "length")) &^ 7
		task := rapid.Uint64Range(0, 63).Draw(t, "task")
		front := m.node(base, base-4096, total, rapid.Bool().Draw(t, "front used"), task)
		victim := m.node(base+uint64(total), base, 3072, rapid.Bool().Draw(t, "victim used"), task+1)

		image := victim.bytes(m.lay)
		was := bytes.Clone(image)
		from := rapid.IntRange(0, len(image)-1).Draw(t, "from")
		to := rapid.IntRange(from, len(image)-1).Draw(t, "to")
		for i := from; i <= to; i++ {
			image[i] = rapid.Byte().Draw(t, "byte")
		}
		damaged := *victim
		damaged.read(image, m.lay)
		// The report shows the fields, and not LRs and padding.
		shown := damaged.bytes(m.lay)
		first, last := -1, -1
		for i := range shown {
			if shown[i] != was[i] {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if damaged.sum == damaged.checksum() {
			t.Skip("not noticed")
		}

		function, op := "OsMemFindSuitableFreeBlock", "alloc"
		if rapid.Bool().Draw(t, "free") {
			function, op = "OsMemNodePrevTryGet", "free"
		}
		m.WriteString("Huawei LiteOS # x\r\n")
		fmt.Fprintf(m, "[ERR][%s]: the node information of current node is bad !!\r\n", function)
		m.control(victim.at, &damaged)
		times := 1
		if op == "free" {
			m.WriteString("[ERR]the detailed information of previous node:\r\n")
			m.details(front, "main")
			times = rapid.IntRange(1, 2).Draw(t, "restorations")
		}
		for range times {
			m.WriteString("[ERR]the backup node information of current node in previous node:\r\n")
			m.control(base, victim)
			m.WriteString("[ERR]the detailed information of previous node:\r\n")
			m.details(front, "main")
		}
		m.WriteString("Huawei LiteOS # ")

		got := reports("log", []byte(m.String()))
		if len(got) != 1 {
			t.Fatalf("%d findings in\n%s", len(got), m.String())
		}
		f := got[0]
		start := heap.Addr(base) + heap.Addr(total)
		var span heap.Span
		if first >= 0 {
			span = heap.Span{Start: heap.Addr(victim.at) + heap.Addr(first), End: heap.Addr(victim.at) + heap.Addr(last) + 1}
		}
		if f.Kind != heap.HeaderDamaged || f.Op != op || f.Node != start || f.Span != span || !f.Recovered || !f.Repaired || f.Partial != "" {
			t.Fatalf("%+v, span %v to %v; want node %s, span %v to %v", f, f.Span.Start, f.Span.End, start, span.Start, span.End)
		}
		if n := f.Previous; n == nil || n.Addr != heap.Addr(base) || n.Total != uint64(total) || (n.State == heap.Used) != (front.size&liteosUsed != 0) {
			t.Fatalf("in front: %+v", n)
		}
		if front.size&liteosUsed != 0 && (f.Previous.Owner != heap.Owner(task) || f.Owners[heap.Owner(task)] != "main" || f.Previous.Payload != heap.Addr(base)+heap.Addr(m.lay.head())) {
			t.Fatalf("in front: %+v, owners %v", f.Previous, f.Owners)
		}
		for _, piece := range f.Memory {
			at := int(piece.Addr - heap.Addr(victim.at))
			if d := cmp.Diff(shown[at:at+len(piece.Bytes)], piece.Bytes); d != "" {
				t.Fatalf("memory at %s: %s", piece.Addr, d)
			}
		}
	})
}

// LOS_MemBadNodeShow on a heap of many nodes, some of them damaged.
func TestReportsListModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{lay: rapid.SampledFrom(backupLayouts()).Draw(t, "layout")}
		at := uint64(0x57bac) &^ 7
		pre := uint64(0xffffb8)
		n := rapid.IntRange(1, 20).Draw(t, "nodes")
		bad := rapid.IntRange(-1, n-1).Draw(t, "bad")
		var node heap.Addr
		for i := range n {
			total := uint32(rapid.IntRange(m.lay.head()+8, 4096).Draw(t, "length")) &^ 7
			h := m.node(at, pre, total, rapid.Bool().Draw(t, "used"), 3)
			front := m.node(pre, 0, uint32(at-pre), true, 3)
			if i == bad {
				h.pre ^= 0x41414141
			}
			m.control(h.at, h)
			if i == bad {
				node = heap.Addr(at)
				if i > 0 {
					m.WriteString("[ERR]the detailed information of previous node:\r\n")
					m.details(front, "main")
				} else {
					m.WriteString("[ERR]the current node is invalid, but cannot find its previous Node\r\n")
				}
			}
			pre, at = at, at+uint64(total)
		}
		m.WriteString("check finish\r\n")
		got := reports("log", []byte(m.String()))
		if bad < 0 {
			if len(got) != 0 {
				t.Fatalf("a clean list gives %+v", got[0])
			}
			return
		}
		if len(got) != 1 || got[0].Op != "check" || got[0].Recovered || got[0].Partial != "" {
			t.Fatalf("%d findings: %+v", len(got), got)
		}
		// With one node only, nothing shows how nodes are laid out.
		if f := got[0]; f.Node != node && !strings.Contains(f.Detail, "not known") {
			t.Fatalf("node %s, want %s", f.Node, node)
		}
	})
}

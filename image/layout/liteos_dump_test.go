package layout

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// dump reads a real dump, which begins with the pool at addr.
func dump(t testing.TB, name string, addr heap.Addr) Bytes {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".bin.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return Bytes{Addr: addr, Data: b}
}

// open opens the one pool of a real dump.
func open(t testing.TB, name string, addr heap.Addr) *LiteOSPool {
	t.Helper()
	found, _ := pools(dump(t, name, addr), Hints{})
	if len(found) != 1 || found[0].Addr != addr {
		t.Fatalf("%s: found %d pools, want one at %s", name, len(found), addr)
	}
	return found[0]
}

// pools finds the LiteOS pools that the hints allow.
func pools(mem heap.RAM, h Hints) (found []*LiteOSPool, notes []string) {
	all, notes := findLiteOS(mem, &h)
	for _, p := range apart(all) {
		found = append(found, p.(*LiteOSPool))
	}
	return found, notes
}

// openAt opens the pool at addr, whatever its layout is; nil: there is none.
func openAt(mem heap.RAM, addr heap.Addr) *LiteOSPool {
	if found, _ := pools(mem, Hints{At: addr}); len(found) == 1 {
		return found[0]
	}
	return nil
}

// openAs opens the pool at addr with a layout that nobody doubts; nil: nothing
// gives its size.
func openAs(mem heap.RAM, addr heap.Addr, l LiteOS) *LiteOSPool {
	m := newRAM(mem)
	if c := m.score(addr, l); c != nil {
		return c.pool(m)
	}
	return nil
}

// walked collects everything that a walk gives.
func walked(p *LiteOSPool) (nodes []heap.Node, findings []heap.Finding, s Survey) {
	s = p.Walk(func(n *heap.Node) bool {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		nodes = append(nodes, c)
		return true
	}, func(f *heap.Finding) { findings = append(findings, *f) })
	return nodes, findings, s
}

var (
	leakOnly = LiteOS{LeakCheck: true, LRs: 3, TaskStat: true, Tasks: 64, MulPool: true}
	both     = LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64, MulPool: true}
)

func TestDumps(t *testing.T) {
	for _, d := range []struct {
		name     string
		addr     heap.Addr
		layout   LiteOS
		findings int
		totals   bool // the device's own are those of the moment
	}{
		{"leak-after", 0x568c0, leakOnly, 0, true},
		{"both-clean", 0x578c0, both, 0, true},
		{"both-overflow-header", 0x578c0, both, 1, true},
		{"both-overflow-small16", 0x578c0, both, 1, true},
	} {
		t.Run(d.name, func(t *testing.T) {
			p := open(t, d.name, d.addr)
			if p.Layout != d.layout {
				t.Errorf("layout %s, want %s", p.Layout, d.layout)
			}
			if len(p.about.Doubts) > 0 {
				t.Errorf("doubts: %q", p.about.Doubts)
			}
			nodes, findings, s := walked(p)
			if len(findings) != d.findings || s.Findings != d.findings || len(s.Gaps) > 0 || s.Partial != "" {
				t.Errorf("%d findings, want %d; gaps %v, partial %q\n%v", len(findings), d.findings, s.Gaps, s.Partial, findings)
			}
			head := newRAM(p.mem)
			used, _ := head.word(d.addr+8, 4)
			peak, _ := head.word(d.addr+12, 4)
			if s.Stats.Used != used || s.Stats.Waterline != peak {
				t.Errorf("used %#x waterline %#x, the device counts %#x and %#x", s.Stats.Used, s.Stats.Waterline, used, peak)
			}
			for i, n := range nodes {
				if i > 0 && nodes[i-1].Addr+heap.Addr(nodes[i-1].Total) != n.Addr {
					t.Errorf("node %s does not begin where %s ends", n.Addr, nodes[i-1].Addr)
				}
			}
			if uint64(len(nodes)) != s.Stats.UsedNodes+s.Stats.FreeNodes {
				t.Errorf("%d nodes, totals say %d used and %d free", len(nodes), s.Stats.UsedNodes, s.Stats.FreeNodes)
			}
		})
	}
}

// TestTaskZero: task 0 is named, and is not taken for that of a node whose task ID
// is lost.
func TestTaskZero(t *testing.T) {
	s := Snapshot(open(t, "both-clean", 0x578c0))
	tasks := make(map[string]int)
	for i := range s.Nodes {
		tasks[s.OwnerName(s.Nodes[i].Owner)]++
	}
	if tasks["0"] != 18 || tasks["64"] != 15 || tasks[""] != 0 || tasks["unknown"] != 0 {
		t.Errorf("nodes by task: %v", tasks)
	}
	h := four(LiteOS{LeakCheck: true, LRs: 3}, false)
	pool, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 16 { // magic, task, previous node, a call
		pool[starts[1]-h.Addr+heap.Addr(i)] = 'Z'
	}
	s = Snapshot(openAs(Bytes{h.Addr, pool}, h.Addr, h.Layout))
	if i := slices.IndexFunc(s.Nodes, func(n heap.Node) bool { return n.Addr == starts[1] }); i < 0 || s.OwnerName(s.Nodes[i].Owner) != "unknown" {
		t.Errorf("%+v", s.Nodes)
	}
}

// TestAsListed compares the dump with the last listing that the device printed
// in front of it: the leaking nodes, which nobody frees, are in both.
func TestAsListed(t *testing.T) {
	nodes, _, _ := walked(open(t, "leak-after", 0x568c0))
	byAddr := make(map[heap.Addr]heap.Node)
	for _, n := range nodes {
		byAddr[n.Addr] = n
	}
	// Rows of the listing at leak-series.log:1678.
	for _, row := range [][]heap.Addr{
		{0xbf414, 0x2bfb8, 0x2c028, 0x123f0},
		{0xbf7c8, 0x2bfb8, 0x2c028, 0x123f0},
		{0xbfb34, 0x2bfb8, 0x2c028, 0x123f0},
	} {
		n, ok := byAddr[row[0]]
		if !ok || n.State != heap.Used || !n.Stack.Equal(row[1:]) {
			t.Errorf("the device lists %v, the dump has %+v", row, n)
		}
		if n.Payload != n.Addr+28 {
			t.Errorf("node %s: payload %s", n.Addr, n.Payload)
		}
	}
}

// TestOverflowOfAHeader is checked against what the device printed when it
// restored the same header itself.
func TestOverflowOfAHeader(t *testing.T) {
	p := open(t, "both-overflow-header", 0x578c0)
	_, findings, s := walked(p)
	f := findings[0]
	if f.Kind != heap.HeaderDamaged || f.Node != 0xb6948 || !f.Recovered || f.Span != (heap.Span{Start: 0xb6948, End: 0xb6990}) {
		t.Errorf("%+v", f)
	}
	if f.Culprit == nil || f.Culprit.Addr != 0xb5d48 || !f.Culprit.Stack.Equal(heap.Stack{0x2d5d8, 0x2d69c, 0x2dedc}) {
		t.Errorf("culprit %+v", f.Culprit)
	}
	if len(f.Subject.Stack) != 0 {
		t.Errorf("LRs %v come from overwritten memory", f.Subject.Stack)
	}
	if want := "byte 'A' (0x41) repeated"; f.Reach != want {
		t.Errorf("reach %q, want %q", f.Reach, want)
	}
	if want := "an overflow: task 0's buffer of at most 3000 bytes at 0xb5d90 was written past its end with byte 'A' (0x41) repeated, by at least 72 bytes"; f.Cause != want {
		t.Errorf("cause %q, want %q", f.Cause, want)
	}
	const detail = "the backup is right; the backup of the header of node 0xb7548, which lies in front of it, was overwritten as well; " +
		"its call stack was overwritten too, and of that there is no backup"
	const repair = "a repair restores in the header magic 0xfff49693, task id 0, previous node 0xb5d48, gap size 0, checksum 0xa1527934, size and flags 0x80000c00: 3072 bytes, used, " +
		"and in the backup of node 0xb7548's header magic 0xfff48a93, task id 0, previous node 0xb6948, gap size 0, checksum 0xa1525134, size and flags 0x80000c00: 3072 bytes, used"
	if f.Detail != detail || f.Repair != repair {
		t.Errorf("detail %q, repair %q", f.Detail, f.Repair)
	}
	for _, field := range f.Fields {
		if !field.Differs || field.Header[:6] != "0x4141" {
			t.Errorf("field %+v", field)
		}
	}
	if len(f.Stack) > 0 {
		t.Errorf("a check of the whole heap has the stack %v", f.Stack)
	}
	m := patched(p, s.Patches)
	// magic, task id, previous node, gap size, checksum; size and flags.
	for at, want := range map[heap.Addr]uint64{0xb696c: 0xfff49693, 0xb6970: 0, 0xb6974: 0xb5d48, 0xb6978: 0, 0xb697c: 0xa1527934, 0xb698c: 0x80000c00} {
		if v, _ := newRAM(m).word(at, 4); v != want {
			t.Errorf("restored word at %s: %#x, want %#x", at, v, want)
		}
	}
	if _, left, _ := walked(openAt(m, p.Addr)); len(left) > 0 {
		t.Errorf("after the repair: %v", left)
	}
}

// TestOverflowOfABackup is the overflow that the device never notices.
func TestOverflowOfABackup(t *testing.T) {
	p := open(t, "both-overflow-small16", 0x578c0)
	_, findings, s := walked(p)
	f := findings[0]
	if left := findingsOf(openAt(patched(p, s.Patches), p.Addr)); left > 0 {
		t.Errorf("%d findings after the repair", left)
	}
	if f.Kind != heap.BackupDamaged || f.Node != 0xb7c9c || !f.Recovered || f.Span != (heap.Span{Start: 0xb7c9c, End: 0xb7cac}) {
		t.Errorf("%+v", f)
	}
	if f.Culprit == nil || f.Culprit.Addr != 0xb709c || f.Culprit.Owner != 10 || !f.Culprit.Stack.Equal(heap.Stack{0x2d5d8, 0x2d69c, 0x2dedc}) {
		t.Errorf("culprit %+v", f.Culprit)
	}
	const detail = "what was overwritten is the backup of the header of node 0xb889c, which is intact"
	const repair = "a repair restores in the backup of node 0xb889c's header magic 0xfff4773f, task id 10, previous node 0xb7c9c, gap size 0"
	if f.Detail != detail || f.Repair != repair {
		t.Errorf("detail %q, repair %q", f.Detail, f.Repair)
	}
	if want := "an overflow: task 10's buffer of at most 3000 bytes at 0xb70e4 was written past its end with byte 'A' (0x41) repeated, by at least 16 bytes"; f.Cause != want {
		t.Errorf("cause %q, want %q", f.Cause, want)
	}
}

// patched returns the memory of a pool with patches applied.
func patched(p *LiteOSPool, patches []Patch) Bytes {
	m := p.mem.(Bytes)
	m.Data = slices.Clone(m.Data)
	for _, c := range patches {
		copy(m.Data[c.Addr-m.Addr:], c.New)
	}
	return m
}

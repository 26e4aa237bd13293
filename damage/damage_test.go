package damage_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

var update = flag.Bool("update", false, "rewrite testdata")

// explained returns what a real log reports, explained, and the notes.
func explained(t *testing.T, path string) (all []*heap.Finding, notes []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := damage.NewExplainer(nil)
	for item, err := range console.NewReader(f, filepath.Base(path)).Items() {
		switch {
		case err != nil:
			t.Fatal(err)
		case item.Snapshot != nil:
			e.Add(item.Snapshot)
		default:
			e.Explain(item.Finding)
			all = append(all, item.Finding)
		}
	}
	return all, e.Notes()
}

// The conclusions drawn from real logs, whose truth is known: the logs print
// the buffers A, B, C before one of them is overrun or freed wrongly.
func TestLogs(t *testing.T) {
	paths, err := filepath.Glob("../console/testdata/*.log")
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".log")
		golden := filepath.Join("testdata", name+".json")
		if _, err := os.Stat(golden); err != nil && !*update {
			continue // a log of another device
		}
		all, notes := explained(t, path)
		got, err := json.MarshalIndent(map[string]any{"findings": all, "notes": notes}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if *update {
			if err := os.WriteFile(golden, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		done++
	}
	if done < 12 {
		t.Errorf("only %d logs", done)
	}
}

// header is a damaged header at 0x1024 of the node at 0x1000 behind a used node
// at 0x400, with backups, as a 32-bit device with call stacks reports it.
func header(differs string, bytes byte) *heap.Finding {
	f := &heap.Finding{
		Kind: heap.HeaderDamaged, Op: "free", Node: 0x1000, Recovered: true, Repaired: true, Stack: heap.Stack{},
		Previous: &heap.Node{Addr: 0x400, Payload: 0x448, Total: 0xc00, Owner: 3, Stack: heap.Stack{0x8000}},
		Subject:  &heap.Node{Addr: 0x1000, Payload: 0x1048, Total: 0x100, Owner: 4, Stack: heap.Stack{}},
		Owners:   map[heap.Owner]string{3: "net", 4: "log"},
	}
	a := heap.Memory{Addr: 0x1024, Bytes: make([]byte, 20)}
	b := heap.Memory{Addr: 0x1044, Bytes: make([]byte, 4)}
	at := heap.Addr(0x1024)
	for i, name := range []string{"magic", "task id", "previous node", "gap size", "checksum", "size and flags"} {
		field := heap.Field{Name: name, Header: "0x1", Backup: "0x1"}
		if i == 5 {
			at = 0x1044
		}
		if differs[i] == '*' {
			field.Differs, field.Header = true, "0x2"
			if f.Span.Start == 0 {
				f.Span.Start = at
			}
			f.Span.End = at + 4
			for k := range 4 {
				if i < 5 {
					a.Bytes[4*i+k] = bytes
				} else {
					b.Bytes[k] = bytes
				}
			}
		}
		f.Fields = append(f.Fields, field)
		at += 4
	}
	f.Memory = []heap.Memory{a, b}
	return f
}

// check is a damaged header of a 32-bit device without backups, one word of it
// known to be wrong.
func check(word int) *heap.Finding {
	f := &heap.Finding{
		Kind: heap.HeaderDamaged, Op: "check", Node: 0x1000, Stack: heap.Stack{0x13bd4},
		Previous: &heap.Node{Addr: 0x400, Payload: 0x41c, Total: 0xc00, Stack: heap.Stack{}},
		Memory:   []heap.Memory{{Addr: 0x1000, Bytes: append([]byte(strings.Repeat("B", 28)), make([]byte, 36)...)}},
		Span:     heap.Span{Start: 0x1000 + heap.Addr(4*word), End: 0x1004 + heap.Addr(4*word)},
	}
	for i, name := range []string{"prev/magic", "next/task id", "previous node", "size and flags"} {
		f.Fields = append(f.Fields, heap.Field{Name: name, Header: "0x42424242", Differs: i == word})
	}
	return f
}

func listing(label string, boot int, addrs ...heap.Addr) *heap.Snapshot {
	s := &heap.Snapshot{Label: label, Source: "log:1", Boot: boot, Owners: map[heap.Owner]string{7: "sensor"}}
	for _, a := range addrs {
		s.Nodes = append(s.Nodes, heap.Node{Addr: a, Stack: heap.Stack{a + 1, a + 2}})
	}
	return s
}

type names struct{}

func (names) Frames(lr heap.Addr) []heap.Frame {
	return []heap.Frame{{Addr: lr, Function: "inner", Inlined: true}, {Addr: lr, Function: "f_" + lr.String()}}
}

// What follows from where the damage lies, and from what was known before.
func TestExplain(t *testing.T) {
	wild := func(p heap.Addr) *heap.Finding {
		return &heap.Finding{Kind: heap.InsideNode, Op: "free", Node: 0x1000, Expected: 0x1048, Pointer: p, Task: "net", Stack: heap.Stack{}}
	}
	free := header("******", 'A')
	free.Previous.State, free.Previous.Payload, free.Previous.Owner = heap.Free, 0, 0
	noFront := header("******", 'A')
	noFront.Previous = nil
	stacked := wild(0x5010)
	stacked.Stack, stacked.Frames = heap.Stack{0x8000, 0x8100, 0x8200}, []heap.Addr{0x4ff0, 0x5008, 0x5040}
	own := header("******", 'A')
	own.Previous.Stack = heap.Stack{}
	own2 := header("******", 'A')
	own2.Previous.Stack = heap.Stack{}
	own3 := header("******", 'A')
	own3.Previous.Stack = heap.Stack{}
	cut := listing("listing 1", 0, 0x100, 0x400)
	cut.Partial = "cut after 2 nodes"
	overwritten := listing("listing 1", 0, 0x100, 0x400)
	overwritten.Nodes[1].Stack = heap.Stack{0x41414141, 0x41414141}
	short := header("******", 'A')
	short.Previous.Total -= 16
	nodeless := wild(0x2048)
	nodeless.Node = 0
	onStack := func(p heap.Addr) *heap.Finding {
		f := wild(p)
		f.Stack, f.Frames = stacked.Stack, stacked.Frames
		return f
	}
	backup := func(bytes string) *heap.Finding {
		return &heap.Finding{
			Kind: heap.BackupDamaged, Op: "free", Node: 0x1000, Stack: heap.Stack{},
			Previous: &heap.Node{Addr: 0x400, Payload: 0x448, Total: 0xc00, Stack: heap.Stack{}},
			Memory:   []heap.Memory{{Addr: 0x1000, Bytes: []byte(bytes)}},
		}
	}
	for _, c := range []struct {
		name    string
		before  []*heap.Snapshot
		f       *heap.Finding
		culprit heap.Addr
		says    []string // in Cause, CulpritReason, Reach or Unseen
		not     []string
	}{
		{"overflow", nil, header("******", 'A'), 0x400, []string{
			"task net's buffer of at most 3000 bytes at 0x448 was written past its end with 'A' (0x41), by at least 72 bytes if it left no gap; it was allocated by f_0x8000",
			"overflow: the damage begins with the first field", "the 36 bytes in front of the header", "12 bytes in the middle of the damage",
			"if the one that wrote was freed", "byte 'A' (0x41) repeated",
		}, []string{"stray", "underflow"}},
		{"overflow of the first field only", nil, header("*-----", 'A'), 0x400, []string{"by at least 40 bytes if it left no gap"}, []string{"in the middle of the damage"}},
		{"zeroes", nil, header("******", 0), 0x400, []string{"with zeroes", "zeroes"}, nil},
		{"underflow", nil, header("-----*", 0xff), 0x1000, []string{"an underflow", "task log's buffer of at most 184 bytes at 0x1048", "does not reach the header's start"}, []string{"overflow"}},
		{"underflow of a node without room", nil, func() *heap.Finding {
			f := header("-----*", 0xff)
			f.Subject.Total = 0x40
			return f
		}(), 0x1000, []string{"right in front of task log's buffer at 0x1048"}, []string{"at most"}},
		{"stray write", nil, header("--*---", 9), 0, []string{"a stray write"}, []string{"task net"}},
		{"nothing differs", nil, header("------", 9), 0, []string{"cannot be told"}, []string{"task net"}},
		{"free memory in front", nil, free, 0x400, []string{"the free node 0x400", "after it had been freed", "whoever used it last"}, []string{"task net"}},
		{"nothing known in front", nil, noFront, 0, []string{"what lies in front of the node was written past its end"}, nil},

		{"damaged before the listing", []*heap.Snapshot{listing("listing 1", 0, 0x100, 0x400)}, header("******", 'A'), 0x400, []string{"If node 0x1000 existed when listing 1 (log:1) was printed, the damage is older: that listing ends at 0x400"}, []string{"most likely older"}},
		{"damaged before the second listing", []*heap.Snapshot{listing("listing 1", 0, 0x100, 0x400, 0x1000), listing("listing 2", 0, 0x100, 0x400)}, header("******", 'A'), 0x400, []string{"It is most likely older than listing 2 (log:1): that listing ends at 0x400, listing 1 (log:1) went on behind it"}, nil},
		{"the listing is cut", []*heap.Snapshot{cut}, header("******", 'A'), 0x400, nil, []string{"listing 1"}},
		{"the size is intact", []*heap.Snapshot{listing("listing 1", 0, 0x100, 0x400, 0x1000, 0x1100)}, header("*****-", 'A'), 0x400, nil, []string{"listing 1"}},
		{"a stack that was overwritten", []*heap.Snapshot{overwritten}, own3, 0x400, []string{"an overflow"}, []string{"allocated"}},
		{"sizes that contradict each other", nil, short, 0, []string{"cannot be told"}, []string{"overflow"}},
		{"damaged after the listing", []*heap.Snapshot{listing("listing 1", 0, 0x100, 0x400, 0x1000, 0x1100)}, header("******", 'A'), 0x400, []string{"It is newer than listing 1 (log:1)"}, nil},
		{"who allocated it, from the listing", []*heap.Snapshot{listing("listing 1", 0, 0x100, 0x400)}, own, 0x400, []string{"allocated by f_0x401"}, nil},
		{"a listing of another boot", []*heap.Snapshot{listing("listing 1", 1, 0x100, 0x400)}, header("******", 'A'), 0x400, nil, []string{"listing 1"}},

		{"who allocated it, from a record of allocations", []*heap.Snapshot{{Label: "live set", Source: "log:1", Nodes: []heap.Node{
			{Addr: 0x448, Payload: 0x448, Size: 2999, Stack: heap.Stack{0x9000}}, {Addr: 0x5000, Payload: 0x5000},
		}}}, own2, 0x400, []string{"buffer of 2999 bytes at 0x448", "allocated by f_0x9000"}, []string{"live set"}},
		{"freed twice by a record of allocations", []*heap.Snapshot{{Label: "live set", Source: "log:1", Nodes: []heap.Node{
			{Addr: 0x2048, Payload: 0x2048, Size: 9},
		}}}, wild(0x2048), 0, []string{"freed twice: live set (log:1) shows a used node"}, nil},

		{"moved on", nil, wild(0x1058), 0, []string{"16 bytes behind the start", "moved on after the allocation", "unaligned ones"}, []string{"second free."}},
		{"moved back", nil, wild(0x1010), 0, []string{"56 bytes in front", "moved back"}, nil},
		{"far inside", nil, wild(0x2048), 0, []string{"If that node is used", "this is the second free"}, nil},
		{"freed twice", []*heap.Snapshot{listing("listing 4", 0, 0x1000, 0x2000)}, wild(0x2048), 0, []string{"freed twice: listing 4 (log:1) shows a used node 0x2000"}, []string{"whether the node found is used"}},
		{"inside a listed node", []*heap.Snapshot{listing("listing 4", 0, 0x1000, 0x2000)}, wild(0x3000), 0, []string{"which listing 4 (log:1) shows as used"}, []string{"whether the node found is used"}},
		{"on the stack", nil, stacked, 0, []string{"into its own call stack", "in the frame of f_0x8200 (return address 0x8200)"}, []string{"whether the node found is used", "level"}},
		{"at the frame's end", nil, onStack(0x5040), 0, []string{"in the frame of f_0x8200"}, nil},
		{"at its start", nil, onStack(0x5009), 0, []string{"in the frame of f_0x8200"}, nil},
		{"at the end of the frame below", nil, onStack(0x5008), 0, []string{"in the frame of f_0x8100"}, nil},
		{"behind all frames", nil, onStack(0x5041), 0, []string{"moved on"}, []string{"in the frame"}},
		{"below all frames", nil, onStack(0x4ff0), 0, nil, []string{"in the frame"}},
		{"the node is not in the log", []*heap.Snapshot{listing("listing 4", 0, 0x1000, 0x2000)}, nodeless, 0, []string{"cannot be told"}, []string{"moved on", "node 0x0", "this is the second free"}},
		{"the node's own payload", []*heap.Snapshot{{Label: "live set", Source: "log:1", Nodes: []heap.Node{{Addr: 0x1048, Payload: 0x1048}}}}, wild(0x1048), 0, nil, []string{"freed twice"}},
		{"of another pool", []*heap.Snapshot{{Label: "listing 4", Source: "log:1", Pool: "exc", Nodes: listing("", 0, 0x8000, 0x9000).Nodes}}, &heap.Finding{Kind: heap.OutsidePool, Pointer: 0x8010, Stack: heap.Stack{}}, 0, []string{"lies among the nodes of pool exc: listing 4 (log:1) shows node 0x8000"}, []string{"static"}},
		{"of no pool", []*heap.Snapshot{listing("listing 4", 0, 0x8000, 0x9000)}, &heap.Finding{Kind: heap.OutsidePool, Pointer: 0x9000, Stack: heap.Stack{}}, 0, []string{"not of the pool that was asked: it belongs to another one, is a static or stack address"}, nil},
		{"half a report", nil, wild(0), 0, []string{"cannot be told"}, nil},

		{"short overflow", nil, &heap.Finding{
			Kind: heap.BackupDamaged, Op: "free", Node: 0x1000, Stack: heap.Stack{},
			Previous: &heap.Node{Addr: 0x400, Payload: 0x448, Total: 0xc00, Stack: heap.Stack{}},
			Memory:   []heap.Memory{{Addr: 0x1000, Bytes: []byte("AAAAAAAA\x00\x00\x00\x00")}},
		}, 0x400, []string{"the buffer of at most 3000 bytes at 0x448 was written at least 8 bytes past its end", "begins where its payload ends"}, nil},
		{"short overflow with zeroes", nil, backup("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00"), 0x400, []string{"at least 4 bytes past"}, nil},
		{"overflow with zeroes", nil, backup(strings.Repeat("\x00", 16)), 0x400, []string{"at least 12 bytes past"}, nil},
		{"overflow of all with zeroes", nil, backup(strings.Repeat("\x00", 20)), 0x400, []string{"at least 20 bytes past"}, nil},
		{"an end that does not meet", nil, func() *heap.Finding {
			f := backup("AAAAAAAA")
			f.Previous.Total++
			return f
		}(), 0, []string{"most likely what lies in front of it"}, []string{"at least 8"}},
		{"the word in front", nil, &heap.Finding{Kind: heap.HeaderDamaged, Op: "free", Fields: []heap.Field{{Name: "size and flags", Header: "0xffffffff"}}, Stack: heap.Stack{}}, 0, []string{
			"overwritten up to its last word", "byte 0xff repeated", "the device gives up",
		}, nil},
		{"header and backup", nil, func() *heap.Finding {
			f := header("******", 'A')
			f.Kind, f.Span, f.Subject, f.Recovered, f.Repaired = heap.BothDamaged, heap.Span{}, nil, false, false
			return f
		}(), 0, []string{"are both wrong, although that node's own header lies between them", "now holds byte 'A'", "whether the backup was right"}, []string{"overflow:"}},
		{"a check without backups", nil, check(0), 0x400, []string{"an overflow", "with 'B' (0x42), by at least 28 bytes", "up to 0x101c", "looks only at magics"}, []string{"left no gap"}},
		{"a check that finds the second word wrong", nil, check(1), 0, []string{"a stray write, or one through a pointer to memory freed before"}, []string{"past its end"}},
		{"a check, and zeroes", nil, func() *heap.Finding {
			f := check(0)
			f.Memory[0].Bytes = make([]byte, 64)
			return f
		}(), 0x400, []string{"with zeroes, by at least 4 bytes"}, nil},
		{"a check, and the payload too", nil, func() *heap.Finding {
			f := check(0)
			copy(f.Memory[0].Bytes[28:], "BBBBBBBB")
			return f
		}(), 0x400, []string{"by at least 28 bytes", "and on in the payload behind it up to 0x1024"}, nil},
		{"the header is not in the log", nil, &heap.Finding{
			Kind: heap.HeaderDamaged, Op: "free", Fields: []heap.Field{{Name: "magic", Backup: "0x1"}}, Partial: "cut", Stack: heap.Stack{},
		}, 0, []string{"cannot be told from what the log has"}, []string{"gives up"}},
		{"explained by its source", nil, func() *heap.Finding {
			f := header("******", 'A')
			f.Cause = "so it was"
			return f
		}(), 0, []string{"so it was"}, []string{"overflow", "device"}},
		{"text", nil, func() *heap.Finding {
			f := header("****--", 0)
			copy(f.Memory[0].Bytes, "GET /index.html ")
			return f
		}(), 0x400, []string{`with text "GET /index.html "`}, nil},
		{"pointers", nil, func() *heap.Finding {
			f := header("***---", 0)
			copy(f.Memory[0].Bytes, "\x00\x20\x00\x00\x10\x20\x00\x00\x20\x20\x00\x00")
			return f
		}(), 0x400, []string{"3 of 3 words look like pointers into the heap"}, nil},
		{"the pool's head", nil, &heap.Finding{Kind: heap.PoolHeadDamaged, Op: "check", Fields: []heap.Field{{Name: "free list 1"}}}, 0, []string{"no node lies in front of the pool's head"}, nil},
		{"a list of free nodes", nil, &heap.Finding{Kind: heap.FreeIndexWrong, Op: "alloc"}, 0, []string{"the header of a free node was overwritten"}, nil},
	} {
		e := damage.NewExplainer(names{})
		for _, s := range c.before {
			e.Add(s)
		}
		f := c.f
		e.Explain(f)
		var culprit heap.Addr
		if f.Culprit != nil {
			culprit = f.Culprit.Addr
		}
		text := f.Cause + "\n" + f.CulpritReason + "\n" + f.Reach + "\n" + strings.Join(f.Unseen, "\n")
		if culprit != c.culprit {
			t.Errorf("%s: culprit %s, want %s", c.name, culprit, c.culprit)
		}
		for _, s := range c.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: lacks %q:\n%s", c.name, s, text)
			}
		}
		for _, s := range c.not {
			if strings.Contains(text, s) {
				t.Errorf("%s: says %q:\n%s", c.name, s, text)
			}
		}
		if strings.HasPrefix(c.name, "freed twice") != (f.Kind == heap.DoubleFree) {
			t.Errorf("%s: %s", c.name, f.Kind)
		}
	}
}

// One write through several nodes: the culprit is in front of the first. That
// needs one report, the same bytes, and the same boot.
func TestChain(t *testing.T) {
	victim := func(node heap.Addr, line int, b byte) *heap.Finding {
		f := header("******", b)
		front := node - 0x1000
		if front == 0 {
			front = 0x400
		}
		f.Source = fmt.Sprintf("log:%d", line)
		f.Previous = &heap.Node{Addr: front, Payload: front + 0x48, Total: uint64(node - front), Owner: heap.Owner(front >> 10), Stack: heap.Stack{}}
		f.Owners = map[heap.Owner]string{f.Previous.Owner: "task" + front.String()}
		for i := range f.Memory {
			f.Memory[i].Addr += node - f.Node
		}
		f.Span.Start, f.Span.End = f.Span.Start+node-f.Node, f.Span.End+node-f.Node
		f.Node, f.Subject = node, nil
		return f
	}
	unrepaired := func(f *heap.Finding) *heap.Finding {
		f.Repaired = false
		return f
	}
	text := func(f *heap.Finding, s string) *heap.Finding {
		copy(f.Memory[0].Bytes, s)
		return f
	}
	boot := func(f *heap.Finding) *heap.Finding {
		f.Boot = 1
		return f
	}
	const chain, may, none = "the nodes in between were overwritten too: overflow:", "may have begun in front of it", ""
	for _, c := range []struct {
		name   string
		before []*heap.Finding
		seen   *heap.Snapshot // between the last two
		last   *heap.Finding
		want   string
	}{
		{"one report", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, victim(0x2000, 20, 'A'), chain},
		{"three nodes", []*heap.Finding{victim(0x1000, 10, 'A'), victim(0x2000, 20, 'A')}, nil, victim(0x3000, 30, 'A'), chain},
		{"other bytes", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, victim(0x2000, 20, 'B'), none},
		{"other bytes, later", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, victim(0x2000, 3010, 'B'), none},
		{"the same bytes after a repair", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, victim(0x2000, 3010, 'A'), none},
		{"the same bytes later", []*heap.Finding{unrepaired(victim(0x1000, 10, 'A'))}, nil, victim(0x2000, 3010, 'A'), may},
		{"text", []*heap.Finding{text(victim(0x1000, 10, 'A'), "GET /index")}, nil, text(victim(0x2000, 20, 'A'), "HTTP/1.1\r\n"), may},
		{"text, later", []*heap.Finding{text(victim(0x1000, 10, 'A'), "GET /index")}, nil, text(victim(0x2000, 2000, 'A'), "HTTP/1.1\r\n"), none},
		{"seen whole since", []*heap.Finding{unrepaired(victim(0x1000, 10, 'A'))}, listing("listing 1", 0, 0x400, 0x1000, 0x2000), unrepaired(victim(0x2000, 20, 'A')), none},
		{"not seen since", []*heap.Finding{unrepaired(victim(0x1000, 10, 'A'))}, listing("listing 1", 0, 0x400, 0x1000), unrepaired(victim(0x2000, 20, 'A')), chain},
		{"another node", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, victim(0x3000, 20, 'A'), none},
		{"after a restart", []*heap.Finding{victim(0x1000, 10, 'A')}, nil, boot(victim(0x2000, 20, 'A')), none},
	} {
		e := damage.NewExplainer(nil)
		for _, f := range c.before {
			e.Explain(f)
		}
		if c.seen != nil {
			e.Add(c.seen)
		}
		shared := c.last.Owners
		owners := len(shared)
		f := c.last
		e.Explain(f)
		culprit := f.Previous.Addr
		if c.want == chain {
			culprit = 0x400
		}
		says := c.want
		if says == none {
			says = "overflow: the damage begins with the first field of the header behind its payload"
			if f.CulpritReason != says {
				t.Errorf("%s: %s", c.name, f.CulpritReason)
			}
		}
		if f.Culprit == nil || f.Culprit.Addr != culprit || !strings.Contains(f.CulpritReason, says) ||
			strings.Count(f.CulpritReason, "in between") > 1 || strings.Contains(f.Cause, "only another victim") != (c.want == chain) {
			t.Errorf("%s: culprit %v (%s): %s", c.name, f.Culprit, f.CulpritReason, f.Cause)
		}
		if c.want == chain && f.Owners[1] != "task0x400" || len(shared) != owners {
			t.Errorf("%s: owners %v, the source's %v", c.name, f.Owners, shared)
		}
	}
}

// The oldest pool gives way, and that is said.
func TestPools(t *testing.T) {
	e := damage.NewExplainer(nil)
	for i := range 17 {
		s := listing(fmt.Sprintf("listing %d", i), 0, 0x100, 0x400)
		s.Pool = fmt.Sprintf("pool %d", i)
		s.Nodes[1].Addr += heap.Addr(i) * 0x10000
		e.Add(s)
		if i == 15 && e.Notes() != nil {
			t.Errorf("16 pools: %q", e.Notes())
		}
	}
	for node, want := range map[heap.Addr]int{0x400: 0, 0x100400: 2} {
		f := header("******", 'A')
		f.Previous = &heap.Node{Addr: node, Stack: heap.Stack{}}
		if e.Explain(f); len(f.Previous.Stack) != want {
			t.Errorf("node %s: %v", node, f.Previous.Stack)
		}
	}
	if n := e.Notes(); len(n) != 1 || !strings.Contains(n[0], "the last 16 pools") || !strings.Contains(n[0], "1 older") {
		t.Errorf("%q", n)
	}
}

// Silence means something else on each system; none is left out.
func TestSilence(t *testing.T) {
	for _, s := range []string{console.SystemLiteOS, console.SystemOpenHarmony, console.SystemNuttX, console.SystemESPIDF, console.SystemRTThread, console.SystemZephyr} {
		text := strings.Join(damage.Silence([]string{s}), "\n")
		if !strings.Contains(text, "does not prove the heap intact") || s != console.SystemLiteOS && !strings.Contains(text, strings.TrimSuffix(s, " LiteOS")) ||
			(s == console.SystemLiteOS) != strings.Contains(text, "memcheck prints nothing") {
			t.Errorf("%s: %s", s, text)
		}
	}
	if n := damage.Silence(nil); len(n) != 1 || !strings.Contains(n[0], "nothing in this log shows which system") {
		t.Errorf("%q", n)
	}
	if n := damage.Silence([]string{console.SystemNuttX, console.SystemZephyr}); len(n) != 2 {
		t.Errorf("%q", n)
	}
	if n := damage.Silence([]string{"Other"}); len(n) != 1 || !strings.Contains(n[0], "no reports of Other are understood") {
		t.Errorf("%q", n)
	}
}

// Only a listing that ends the log and is cut may be one the device hangs in.
func TestNotes(t *testing.T) {
	cut := listing("listing 2", 0, 0x100, 0x400)
	cut.Partial = "cut after 2 nodes"
	e := damage.NewExplainer(nil)
	e.Add(listing("listing 1", 0, 0x100))
	if n := e.Notes(); n != nil {
		t.Errorf("a complete listing gives %q", n)
	}
	e.Add(cut)
	if n := e.Notes(); len(n) != 1 || !strings.Contains(n[0], "listing 2 (log:1)") || !strings.Contains(n[0], "behind 0x400") {
		t.Errorf("%q", n)
	}
	e.Explain(header("******", 'A'))
	if n := e.Notes(); n != nil {
		t.Errorf("in front of a report it gives %q", n)
	}
}

// Whatever a source observed: no panic, nothing observed is changed, and no
// culprit without a reason.
func TestExplainAnything(t *testing.T) {
	kinds := []heap.Kind{
		heap.HeaderDamaged, heap.BackupDamaged, heap.BothDamaged, heap.LinkBroken, heap.PoolHeadDamaged, heap.FreeIndexWrong,
		heap.InsideNode, heap.OutsidePool, heap.InsideFree, heap.DoubleFree, "other",
	}
	addr := rapid.Custom(func(t *rapid.T) heap.Addr {
		a := heap.Addr(rapid.IntRange(0, 64).Draw(t, "a") * 4)
		if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
			a = ^a
		}
		return a
	})
	node := rapid.Custom(func(t *rapid.T) *heap.Node {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return &heap.Node{
			Addr: addr.Draw(t, "addr"), Payload: addr.Draw(t, "payload"), Total: uint64(addr.Draw(t, "total")),
			State: heap.State(rapid.IntRange(0, 2).Draw(t, "state")), Owner: heap.Owner(rapid.IntRange(0, 3).Draw(t, "owner")),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		e := damage.NewExplainer(nil)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "listing") == 0 {
				s := listing("l", rapid.IntRange(0, 1).Draw(t, "boot"), 4, 8, 64, 128)
				if rapid.Bool().Draw(t, "cut") {
					s.Partial = "cut"
				}
				e.Add(s)
				continue
			}
			f := &heap.Finding{
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Op: rapid.SampledFrom([]string{"", "free", "check"}).Draw(t, "op"),
				Node: addr.Draw(t, "node"), Pointer: addr.Draw(t, "pointer"), Expected: addr.Draw(t, "expected"),
				Subject: node.Draw(t, "subject"), Previous: node.Draw(t, "previous"),
				Span: heap.Span{Start: addr.Draw(t, "start"), End: addr.Draw(t, "end")},
			}
			for range rapid.IntRange(0, 4).Draw(t, "fields") {
				f.Fields = append(f.Fields, heap.Field{
					Name: "x", Header: rapid.SampledFrom([]string{"", "0x1", "0xffffffff", "junk"}).Draw(t, "header"),
					Backup: rapid.SampledFrom([]string{"", "0x1"}).Draw(t, "backup"), Differs: rapid.Bool().Draw(t, "differs"),
				})
			}
			for range rapid.IntRange(0, 3).Draw(t, "pieces") {
				f.Memory = append(f.Memory, heap.Memory{Addr: addr.Draw(t, "at"), Bytes: rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'A', 7}), 0, 12).Draw(t, "bytes")})
			}
			for range rapid.IntRange(0, 4).Draw(t, "levels") {
				f.Stack, f.Frames = append(f.Stack, addr.Draw(t, "lr")), append(f.Frames, addr.Draw(t, "fp"))
			}
			before := *f
			e.Explain(f)
			if f.Node != before.Node || f.Pointer != before.Pointer || f.Expected != before.Expected || !f.Stack.Equal(before.Stack) || len(f.Memory) != len(before.Memory) {
				t.Fatalf("changed what was observed: %+v to %+v", before, *f)
			}
			if f.Culprit != nil && f.CulpritReason == "" {
				t.Fatalf("no reason: %+v", f)
			}
		}
		e.Notes()
	})
}

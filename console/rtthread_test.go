package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

var rtthreadNames = []string{"main", "tshe", "NONE", "tcp"}

// rtthreadLengthOf prints the length of a payload as memtrace does.
func rtthreadLengthOf(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%5d", n)
	case n < 1<<20:
		return fmt.Sprintf("%4dK", n>>10)
	}
	return fmt.Sprintf("%4dM", n>>20)
}

func rtthreadFormat(name, preamble, title string, head uint64) format {
	row := func(addr heap.Addr, total uint64, thread string) string {
		return fmt.Sprintf("[0x%08x - %s] %-4s\n", uint64(addr), rtthreadLengthOf(total-head), thread)
	}
	return format{
		name: name, dialect: &rtthread, chained: true,
		keep: func(n heap.Node) heap.Node {
			return heap.Node{Addr: n.Addr, Total: n.Total, Owner: rtthreadOwner([]byte(rtthreadNames[n.Owner%4]))}
		},
		header: func([]heap.Node) string { return preamble + "\n" + title + "\n" },
		row: func(n heap.Node) string {
			owner := string([]byte{byte(n.Owner), byte(n.Owner >> 8), byte(n.Owner >> 16), byte(n.Owner >> 24)})
			return row(n.Addr, n.Total, strings.TrimRight(owner, "\x00"))
		},
		footer: func(nodes []heap.Node) string {
			if len(nodes) == 0 {
				return "msh />"
			}
			last := nodes[len(nodes)-1]
			return row(last.Addr+heap.Addr(last.Total), 4096, "") + "msh />"
		},
	}
}

var rtthreadFormats = []format{
	rtthreadFormat("RT-Thread 3.1", "\nmemory heap address:\nheap_ptr: 0x20001000\nlfree   : 0x200052e4\nheap_end: 0x20008808\n", "--memory item information --", 16),
	rtthreadFormat("RT-Thread 5.0", "\nmemory heap address:\nname    : heap\ntotal   : 0x16352\nused    : 0x5720\nmax_used: 0x5720\nheap_ptr: 0x20001000\nlfree   : 0x200052e4\nheap_end: 0x20008808\n", "--memory item information --", 16),
	rtthreadFormat("RT-Thread memheap", "\nmemory heap address:\nname    : sdram\nheap_ptr: 0x60000000\nfree    : 0x00010000\nmax_used: 0x00010000\nsize    : 0x00800000\n", "--memory used information --", 24),
}

// As the documentation shows it.
const rtthreadLog = `msh />memtrace
total memory: 16352
used memory : 5720
maximum allocated memory: 5720

memory heap address:
heap_ptr: 0x20004818
lfree   : 0x200052e4
heap_end: 0x20008808

--memory item information --
[0x20004818 -   128] NONE
[0x200048a8 -    2K] NONE
[0x200050b8 -    12] main
[0x200050d4 -   428] main
[0x20005290 -    16] main
[0x200052b0 -    36] main
[0x200052e4 -    12]
[0x20005300 -    12] main: ***
[0x2000531c -   2.5M]
msh />
`

func TestRTThread(t *testing.T) {
	_, snaps, err := read(t, rtthreadLog)
	if err != nil {
		t.Fatal(err)
	}
	want := "listing 1 x.log:11 pool=\"\" boot=0 hz=0 partial=\"\"\n"
	for _, n := range []struct {
		addr, total uint64
		owner       string
	}{
		{0x20004818, 144, "NONE"},
		{0x200048a8, 2064, "NONE"},
		{0x200050b8, 28, "main"},
		{0x200050d4, 444, "main"},
		{0x20005290, 32, "main"},
		{0x200052b0, 52, "main"},
		{0x20005300, 28, "main"},
	} {
		want += fmt.Sprintf("%#x payload=0x0 size=0 total=%d owner=%q birth=0 serial=0 []\n", n.addr, n.total, n.owner)
	}
	if d := cmp.Diff(want, renderWhole(t, snaps)); d != "" {
		t.Error(d)
	}
	got := findings(t, strings.NewReader(rtthreadLog))
	owner := rtthreadOwner([]byte("main"))
	if d := cmp.Diff([]*heap.Finding{{
		Kind: heap.HeaderDamaged, Op: "memtrace", Source: "x.log:19", Node: 0x20005300, Stack: heap.Stack{},
		Subject: &heap.Node{Addr: 0x20005300, Owner: owner, Stack: heap.Stack{}},
		Owners:  map[heap.Owner]string{owner: "main"},
		Detail:  `the mark in its header is not the one of a node; as far as it can be believed, thread "main" allocated it`,
		Cause:   "somebody wrote past the end of the memory in front of this node",
		Unseen:  []string{"what else is overwritten: the device compares one word of the header"},
	}}, got); d != "" {
		t.Error(d)
	}
}

// The totals are those that the device itself counts: "used memory : 5720",
// and 16 bytes more than its "total memory: 16352".
func TestRTThreadTotals(t *testing.T) {
	const log = `total memory: 16352
used memory : 5720
maximum allocated memory: 5720

memory heap address:
heap_ptr: 0x20004818
lfree   : 0x200052e4
heap_end: 0x20008808

--memory item information --
[0x20004818 -   128] NONE
[0x200048a8 -    2K] NONE
[0x200050b8 -    12] main
[0x200050d4 -   428] main
[0x20005290 -    16] main
[0x200052b0 -    36] main
[0x200052e4 -    12]
[0x20005300 -    12] main
[0x2000531c -    76] main
[0x20005378 -    12] main
[0x20005394 -    12] main
[0x200053b0 -    12] main
[0x200053cc -   528] main
[0x200055ec -   128] main
[0x2000567c -    2K] main
[0x20005e8c -   10K]
msh />`
	_, snaps, err := read(t, log)
	if err != nil || len(snaps) != 1 {
		t.Fatal(len(snaps), err)
	}
	if d := cmp.Diff(heap.Stats{Size: 16368, Used: 5720, Free: 10648, LargestFree: 10620, UsedNodes: 14, FreeNodes: 2}, snaps[0].Stats); d != "" {
		t.Error(d)
	}
	for lost, partial := range map[string]string{
		"[0x200053cc -   528] main\n": "there are gaps between the nodes: rows are missing",
		"[0x20005e8c -   10K]\n":      "", "heap_end: 0x20008808\n": "",
	} {
		_, snaps, err := read(t, strings.Replace(log, lost, "", 1))
		if err != nil || snaps[0].Stats != (heap.Stats{}) || snaps[0].Partial != partial {
			t.Errorf("without %q: partial %q, %+v, %v", lost, snaps[0].Partial, snaps[0].Stats, err)
		}
	}
}

// One command shows every heap; the next begins with the first again.
func TestRTThreadHeaps(t *testing.T) {
	heapOf := func(name string) string {
		return "memory heap address:\nname    : " + name + "\n\n--memory item information --\n[0x20004818 -   128] NONE\n[0x200048a8 -   100]     \n"
	}
	_, snaps, err := read(t, "msh />memtrace\n"+heapOf("heap")+heapOf("sram2")+"msh />memtrace\n"+heapOf("heap")+heapOf("sram2")+"msh />")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range snaps {
		got = append(got, s.Label+" "+s.Pool)
	}
	if d := cmp.Diff([]string{"listing 1 heap", "listing 1 sram2", "listing 2 heap", "listing 2 sram2"}, got); d != "" {
		t.Error(d)
	}
}

func TestRTThreadLength(t *testing.T) {
	for text, want := range map[string][2]uint64{
		"428]": {428, 428}, "2K]": {2048, 3071}, "3M]": {3 << 20, 4<<20 - 1}, "12.3M]": {12<<20 + 3<<20/10, 12<<20 + 4<<20/10},
	} {
		low, high, end := rtthreadLength([]byte(text), 0)
		if low != want[0] || high != want[1] || end != len(text)-1 {
			t.Errorf("%s: %d to %d, end %d", text, low, high, end)
		}
	}
	for _, text := range []string{"", "x", "4", "12.M]", "12.34M]", "12.3K]", "99999999999999999999]"} {
		if _, _, end := rtthreadLength([]byte(text), 0); end != 0 {
			t.Errorf("%q is a length", text)
		}
	}
}

func TestRTThreadPrompt(t *testing.T) {
	for text, want := range map[string]bool{
		"msh >": true, "msh />": true, "msh /sd/log>": true, "finsh >": true, "finsh />": true, "[12] msh />free": true,
		"msh": false, "msh /": false, "msh /a b>": false, "push >": false, "sh >": false, "msh x>": false,
	} {
		if got := rtthreadPrompt([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestRTThreadReports(t *testing.T) {
	const cause = "somebody wrote past the end of the memory in front of this node"
	type report struct {
		Kind                           heap.Kind
		Op, Pool, Node, Detail, Fields string
		Cause, Partial                 string
	}
	for _, c := range []struct {
		name, log string
		want      report
	}{
		{
			"memcheck to 4.0", "msh />memcheck\r\nMemory block wrong:\r\naddress: 0x20005300\r\n  magic: 0x4141\r\n   used: 16705\r\n  size: 1094795569\r\nmsh />",
			report{heap.HeaderDamaged, "check", "", "0x20005300", "its header contradicts the heap", "[{magic 0x4141  false} {used 16705  false} {size 1094795569  false}]", cause, ""},
		},
		{
			"memcheck from 4.1", "[12] Memory block wrong:\n[12]    name: heap\n[12] address: 0x20005300\n[12]    pool: 0x41414141\n[12]    size: 12\n",
			report{heap.HeaderDamaged, "check", "heap", "0x20005300", "its header contradicts the heap", "[{pool 0x41414141  false} {size 12  false}]", cause, ""},
		},
		{
			"memheapcheck", "Memory block wrong:\nname: sdram\nitem: 0x60001000\n",
			report{heap.HeaderDamaged, "check", "sdram", "0x60001000", "its header contradicts the heap", "[]", cause, ""},
		},
		{
			"freed twice", "to free a bad data block:\nmem: 0x20005300, used flag: 0, magic code: 0x1ea0\n(mem->used) assertion failed at function:rt_free, line number:590\n",
			report{heap.DoubleFree, "free", "", "0x20005300", "its header is whole and says that it is free", "[{used 0  false} {magic 0x1ea0  false}]", "the memory was freed before and then freed again", ""},
		},
		{
			"freed with a damaged header", "to free a bad data block:\nmem: 0x60001000, magic code: 0x41414141\n",
			report{heap.HeaderDamaged, "free", "", "0x60001000", "its header is not that of a used node", "[{magic 0x41414141  false}]", cause + ", or the pointer never came from an allocation", ""},
		},
		{
			"cut", "Memory block wrong:\n",
			report{heap.HeaderDamaged, "check", "", "0x0", "its header contradicts the heap", "[]", cause, "not in the log: the address of the node"},
		},
		{
			"memheaptrace", "--memory used information --\n[0x60000f00 -   232] main\n[0x60001000 - incorrect magic: 0x41414141\nmsh />",
			report{heap.HeaderDamaged, "memtrace", "", "0x60001000", "the mark in its header is not the one of a node", "[]", cause, ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := findings(t, strings.NewReader(c.log))
			if len(all) != 1 {
				t.Fatalf("%d findings", len(all))
			}
			f := all[0]
			got := report{f.Kind, f.Op, f.Pool, f.Node.String(), f.Detail, fmt.Sprint(f.Fields), f.Cause, f.Partial}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzRTThread(f *testing.F) {
	fuzzLog(f, rtthreadFormats, rtthreadLog, "Memory block wrong:\naddress: 0x20005300\n", "to free a bad data block:\nmem: 0x20005300, used flag: 0, magic code: 0x1ea0\n")
}

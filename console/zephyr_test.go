package console

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func zephyrFormat(name string, stacks bool) format {
	return format{
		name: name, dialect: &zephyr, counted: true,
		keep: func(n heap.Node) heap.Node {
			k := heap.Node{Addr: n.Addr, Payload: n.Addr, Total: n.Total, Owner: n.Owner + 0x20000000, Birth: n.Birth}
			if stacks {
				k.Stack = append(heap.Stack{0x8001234}, n.Stack...)
			}
			return k
		},
		header: func([]heap.Node) string { return "=============== heaptrace dump begin ===============\n" },
		row: func(n heap.Node) string {
			s := fmt.Sprintf("[heaptrace] ptr=%v size=%d heap=sys_heap alloc_tid=%v alloc_thread=net mgmt alloc_cpu=0 alloc_ms=%d\n",
				n.Addr, n.Total, heap.Addr(n.Owner), n.Birth)
			if len(n.Stack) > 0 {
				s += "[heaptrace]   backtrace:"
				for _, lr := range n.Stack {
					s += " " + lr.String()
				}
				s += "\n"
			}
			return s
		},
		footer: func(nodes []heap.Node) string {
			return fmt.Sprintf("[heaptrace] outstanding_blocks=%d outstanding_bytes=512\n=============== heaptrace dump end =================\n", len(nodes))
		},
	}
}

var zephyrFormats = []format{zephyrFormat("Zephyr", false), zephyrFormat("Zephyr with backtraces", true)}

func TestZephyr(t *testing.T) {
	const log = `*** Booting Zephyr OS build v4.3.0 ***
uart:~$ heaptrace dump name net
=============== heaptrace dump by name "net" begin ===============
[heaptrace] ptr=0x20001b00 size=32 heap=libc alloc_tid=0 alloc_thread= alloc_cpu=1 alloc_ms=7
[heaptrace] ptr=0x20001a30 size=64 heap=sys_heap alloc_tid=0x200004e8 alloc_thread=net mgmt alloc_cpu=0 alloc_ms=1234
[heaptrace]   backtrace: 0x8001234 0x8005678
[heaptrace] name="net" outstanding_blocks=3 outstanding_bytes=96
=============== heaptrace dump by name "net" end =================
uart:~$ heaptrace heapinfo
=============== heaptrace heapinfo ===============
[heaptrace] heap=libc heap_id=0x1 start=0x20001000 end=0x20002000 growth=+4096 outstanding_blocks=1 outstanding_bytes=32
==================================================
`
	r, snaps, err := read(t, log)
	if err != nil {
		t.Fatal(err)
	}
	want := "listing 1 x.log:3 pool=\"name \\\"net\\\"\" boot=0 hz=1000 partial=\"1 of 3 rows missing\"\n" +
		"0x20001a30 payload=0x20001a30 size=0 total=64 owner=\"net mgmt\" birth=1234 serial=0 [0x8001234 0x8005678]\n" +
		"0x20001b00 payload=0x20001b00 size=0 total=32 owner=\"\" birth=7 serial=0 []\n"
	if d := cmp.Diff(want, renderWhole(t, snaps)); d != "" {
		t.Error(d)
	}
	if notes := r.Notes(); len(notes) > 0 {
		t.Error(notes)
	}
}

func FuzzZephyr(f *testing.F) { fuzzLog(f, zephyrFormats) }

package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// nuttxFormat prints the columns named, with the widths of memdump.
func nuttxFormat(name, title, columns string) format {
	has := func(column string) bool { return strings.Contains(columns, column) }
	const overhead = 24
	return format{
		name: name, dialect: &nuttx, counted: true,
		keep: func(n heap.Node) heap.Node {
			k := heap.Node{Addr: n.Addr, Payload: n.Addr, Total: n.Total}
			if has("PID") {
				k.Owner = n.Owner
			}
			if has("Overhead") {
				k.Payload += overhead
			}
			if has("Sequence") {
				k.Serial = n.Serial
			}
			if has("Backtrace") {
				k.Stack = n.Stack
			}
			return k
		},
		header: func([]heap.Node) string {
			var b strings.Builder
			if title != "" {
				b.WriteString(title + "\n")
			}
			for _, c := range strings.Fields(columns) {
				switch c {
				case "PID":
					fmt.Fprintf(&b, "%6s", c)
				case "Overhead":
					fmt.Fprintf(&b, "%9s", c)
				case "Address":
					fmt.Fprintf(&b, "%11s", c)
				case "Backtrace":
					fmt.Fprintf(&b, " %s", c)
				default:
					fmt.Fprintf(&b, "%12s", c)
				}
			}
			return b.String() + "\n"
		},
		row: func(n heap.Node) string {
			var b strings.Builder
			for _, c := range strings.Fields(columns) {
				switch c {
				case "PID":
					fmt.Fprintf(&b, "%6d", n.Owner)
				case "Size":
					fmt.Fprintf(&b, "%12d", n.Total)
				case "Overhead":
					fmt.Fprintf(&b, "%9d", overhead)
				case "Sequence":
					fmt.Fprintf(&b, "%12d", n.Serial)
				case "Address":
					fmt.Fprintf(&b, "%11s", n.Payload)
				case "Backtrace":
					for _, lr := range n.Stack {
						fmt.Fprintf(&b, " 0x%08x", uint64(lr))
					}
				}
			}
			return b.String() + "\n"
		},
		footer: func(nodes []heap.Node) string {
			total := uint64(0)
			for _, n := range nodes {
				total += n.Total
			}
			return fmt.Sprintf("%12s%12s\n%12d%12d\n", "Total Blks", "Total Size", len(nodes), total)
		},
	}
}

const nuttxUsed = "Dump all used memory node info:"

var nuttxFormats = []format{
	nuttxFormat("NuttX 10.2", nuttxUsed, "Address Size"),
	nuttxFormat("NuttX 10.3", nuttxUsed, "PID Size Address Backtrace"),
	nuttxFormat("NuttX 10.3 without a title", "", "PID Size Address Backtrace"),
	nuttxFormat("NuttX 10.3 without backtraces", nuttxUsed, "Size Address"),
	nuttxFormat("NuttX 12.3", nuttxUsed, "PID Size Sequence Address Backtrace"),
	nuttxFormat("NuttX 12.10", "Memdump task ALL", "PID Size Overhead Sequence Address Backtrace"),
	nuttxFormat("NuttX 12.10 without sequence", "Dump all used memory node info", "PID Size Overhead Address Backtrace"),
	nuttxFormat("NuttX 12.10 without records", "Memdump task ALL", "Size Overhead Address"),
}

// As the pull request that introduced backtraces shows it.
const nuttxLog = `ap> echo 35 > /proc/memdump
[ 5286.767232] [ 9] [  INFO] [ap] Dump all used memory node info:
[ 5286.767884] [ 9] [  INFO] [ap]    PID        Size    Address Backtrace
[ 5286.769569] [ 9] [  INFO] [ap]     35          64 0x3c55d4d8 0x2c5b0ef6 0x2c5a9bee 0x2c767c40
ap> [ 5286.771200] [ 9] [  INFO] [ap]     35         128 0x3c55d618 0x2c5b0ef6 0x2c5a9bee
[ 5286.772831] [ 9] [  INFO] [ap]   Total Blks  Total Size
[ 5286.774516] [ 9] [  INFO] [ap]            2         192
`

func TestNuttX(t *testing.T) {
	const header = "   PID        Size    Address Backtrace\n"
	const row = "     3          64 0x3c55d4d8 0x2c5b0ef6\n"
	const shown = "0x3c55d4d8 payload=0x3c55d4d8 size=0 total=64 owner=\"3\" birth=0 serial=0 [0x2c5b0ef6]\n"
	const totals = "  Total Blks  Total Size\n           1          64\n"
	listed := func(attributes string) string { return "listing 1 x.log:" + attributes + "\n" }
	for _, c := range []struct{ name, log, want string }{
		{
			"logged behind a prompt", nuttxLog,
			listed(`3 pool="" boot=0 hz=1000000 partial=""`) +
				"0x3c55d4d8 payload=0x3c55d4d8 size=0 total=64 owner=\"35\" birth=0 serial=0 [0x2c5b0ef6 0x2c5a9bee 0x2c767c40]\n" +
				"0x3c55d618 payload=0x3c55d618 size=0 total=128 owner=\"35\" birth=0 serial=0 [0x2c5b0ef6 0x2c5a9bee]\n",
		},
		{
			"free nodes first",
			"Dump all free memory node info:\n        Size    Address\n         512 0x3c55e000\n" + totals + header + row + totals,
			listed(`6 pool="" boot=0 hz=0 partial=""`) + shown,
		},
		{
			"no totals, prompt", header + row + "nsh> \n",
			listed(`1 pool="" boot=0 hz=0 partial=""`) + shown,
		},
		{
			"totals of another listing", header + row + strings.Replace(totals, "1 ", "3 ", 1),
			listed(`1 pool="" boot=0 hz=0 partial="2 of 3 rows missing"`) + shown,
		},
		{
			"one task", "Memdump task stack_alloc_ptr: 0x3c550000, adj_stack_size: 2000, name: lpwork\n" + header + row + totals,
			listed(`2 pool="task lpwork" boot=0 hz=0 partial=""`) + shown,
		},
		{
			"tasks with numbers of their own",
			header + "     0          64 0x3c55d4d8 0x2c5b0ef6\n    -1         128 0x3c55d618 0x2c5b0ef6\n" + strings.Replace(totals, "1 ", "2 ", 1),
			listed(`1 pool="" boot=0 hz=0 partial=""`) +
				"0x3c55d4d8 payload=0x3c55d4d8 size=0 total=64 owner=\"idle task\" birth=0 serial=0 [0x2c5b0ef6]\n" +
				"0x3c55d618 payload=0x3c55d618 size=0 total=128 owner=\"memory pools\" birth=0 serial=0 [0x2c5b0ef6]\n",
		},
		{
			"pools without records, in no order",
			"Memdump task ALL\n        Size Overhead    Address\n          64       16 0x3c500000 skip block dump\n         128        8 0x3c55d618\n          64        8 0x3c55d4d8\n" + strings.Replace(totals, "1 ", "2 ", 1),
			listed(`2 pool="" boot=0 hz=0 partial="the blocks of memory pools are not listed"`) +
				"0x3c55d4d0 payload=0x3c55d4d8 size=0 total=64 owner=\"\" birth=0 serial=0 []\n" +
				"0x3c55d610 payload=0x3c55d618 size=0 total=128 owner=\"\" birth=0 serial=0 []\n",
		},
		{
			"64-bit",
			"   PID        Size    Sequence            Address Backtrace\n    12          96        1055     0x7f3a80001040 0x0000560012345678\n" + totals,
			listed(`1 pool="" boot=0 hz=0 partial=""`) +
				"0x7f3a80001040 payload=0x7f3a80001040 size=0 total=96 owner=\"12\" birth=0 serial=1055 [0x560012345678]\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, snaps, err := read(t, c.log)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, renderWhole(t, snaps)); d != "" {
				t.Error(d)
			}
		})
	}
}

// One command shows every heap, in listings that follow each other; but two
// listings of one heap can do so as well.
func TestNuttXHeaps(t *testing.T) {
	listing := func(addr heap.Addr) string {
		f := nuttxFormats[1]
		return f.print([]heap.Node{{Addr: addr, Payload: addr, Total: 64}, {Addr: addr + 64, Payload: addr + 64, Total: 128}})
	}
	for _, c := range []struct {
		name, log string
		want      []string
	}{
		{
			"two heaps", strings.Repeat("nsh> memdump\n\n\n\n"+listing(0x3c000000)+listing(0x20000000), 3),
			[]string{"listing 1 ", "listing 1 heap 2", "listing 2 ", "listing 2 heap 2", "listing 3 ", "listing 3 heap 2"},
		},
		{"one heap", strings.Repeat(listing(0x3c000000), 3), []string{"listing 1 ", "listing 2 ", "listing 3 "}},
		{
			"two heaps and nothing else", strings.Repeat(listing(0x3c000000)+listing(0x20000000)+listing(0x10000000), 2),
			[]string{"listing 1 ", "listing 1 heap 2", "listing 1 heap 3", "listing 2 ", "listing 2 heap 2", "listing 2 heap 3"},
		},
	} {
		_, snaps, err := read(t, c.log)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range snaps {
			got = append(got, s.Label+" "+s.Pool)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// Tables that have nothing to do with a heap are no listings.
func TestNuttXOtherTables(t *testing.T) {
	for _, line := range []string{
		"Address    Size", "Size Address", "   PID   Size   Stack", "PID GROUP PRI POLICY TYPE Size Address COMMAND",
		"Size Size Address PID", "PID Address Backtrace Size", "",
	} {
		if _, snaps, err := read(t, line+"\n    35          64 0x3c55d4d8 0x2c5b0ef6\n"); err == nil {
			t.Errorf("%q heads a listing: %s", line, renderWhole(t, snaps))
		}
	}
}

func FuzzNuttX(f *testing.F) { fuzzLog(f, nuttxFormats, nuttxLog) }

func BenchmarkNuttX(b *testing.B) { benchmarkFormat(b, nuttxFormats[1]) }

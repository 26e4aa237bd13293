package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func liteosAFormat(name string, width int, prompt string) format {
	hex := func(a heap.Addr) string { return fmt.Sprintf("0x%0*x", width-2, uint64(a)) }
	return format{
		name: name, dialect: &liteosA,
		keep: func(n heap.Node) heap.Node { return heap.Node{Addr: n.Addr, Stack: n.Stack} },
		header: func([]heap.Node) string {
			return prompt + "memused\n\n\rnode            LR[0]       LR[1]       LR[2]   \n"
		},
		row: func(n heap.Node) string {
			s := hex(n.Addr) + ": "
			for i := range 3 {
				lr := heap.Addr(0)
				if i < len(n.Stack) {
					lr = n.Stack[i]
				}
				s += " " + hex(lr) + " "
			}
			return s + "\n"
		},
		footer: func([]heap.Node) string { return prompt },
	}
}

var liteosAFormats = []format{
	liteosAFormat("LiteOS-A", 12, "OHOS # "),
	liteosAFormat("LiteOS-A user shell", 12, "OHOS:/$ "),
	liteosAFormat("LiteOS-A 64-bit", 20, "OHOS # "),
	liteosAFormat("LiteOS-A 64-bit, 18 characters", 18, "OHOS # "),
}

func liteosMFormat(name, header, row, lr string) format {
	return format{
		name: name, dialect: &liteosM,
		keep:   func(n heap.Node) heap.Node { return heap.Node{Addr: n.Addr, Total: n.Total, Stack: n.Stack} },
		header: func([]heap.Node) string { return header },
		row: func(n heap.Node) string {
			s := fmt.Sprintf(row, uint64(n.Addr), n.Total)
			for i := range 3 {
				level := heap.Addr(0)
				if i < len(n.Stack) {
					level = n.Stack[i]
				}
				s += fmt.Sprintf(lr, uint64(level))
			}
			return s + "\n"
		},
		footer: func([]heap.Node) string { return "task running\n" },
	}
}

var liteosMFormats = []format{
	liteosMFormat("LiteOS-M", "\n\rnode          size        LR[0]       LR[1]       LR[2]   \n", "0x%x: 0x%x ", " 0x%x "),
	liteosMFormat("LiteOS-M documentation", "node         size   LR[0]       LR[1]       LR[2]   \n", "0x%08x:  0x%x  ", " 0x%08x "),
	liteosMFormat("Huawei LiteOS with sizes", "node        size          LR[0]       LR[1]       LR[2]   \n", "0x%-8x  %-8d: ", " 0x%-8x "),
}

// As the documentation of OpenHarmony shows it.
const liteosMLog = `node         size   LR[0]       LR[1]       LR[2]   
0x20001b04:  0x24   0x08001a10  0x080035ce  0x080028fc 
0x20002058:  0x40   0x08002fe8  0x08003626  0x080028fc 

node         size   LR[0]       LR[1]       LR[2]   
0x20001b04:  0x24   0x08001a10  0x080035ce  0x080028fc 
0x20002058:  0x40   0x08002fe8  0x08003626  0x080028fc 
0x20003ac4:  0x1d   0x08001458  0x080014e0  0x080041e6 
0x20003ae0:  0x1d   0x080041ee  0x08000cc2  0x00000000 
psp, start = 20001000, end = 20002000
`

func TestLiteOSM(t *testing.T) {
	const first = "0x20001b04 payload=0x0 size=0 total=36 owner=\"\" birth=0 serial=0 [0x8001a10 0x80035ce 0x80028fc]\n" +
		"0x20002058 payload=0x0 size=0 total=64 owner=\"\" birth=0 serial=0 [0x8002fe8 0x8003626 0x80028fc]\n"
	_, snaps, err := read(t, liteosMLog)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("listing 1 x.log:1 pool=\"\" boot=0 hz=0 partial=\"\"\n"+first+
		"listing 2 x.log:5 pool=\"\" boot=0 hz=0 partial=\"\"\n"+first+
		"0x20003ac4 payload=0x0 size=0 total=29 owner=\"\" birth=0 serial=0 [0x8001458 0x80014e0 0x80041e6]\n"+
		"0x20003ae0 payload=0x0 size=0 total=29 owner=\"\" birth=0 serial=0 [0x80041ee 0x8000cc2]\n", renderWhole(t, snaps)); d != "" {
		t.Error(d)
	}
	for _, c := range []struct{ name, old, new, partial string }{
		{"lost line end", "fc \n0x20002058", "fc 0x20002058", ""},
		{"lost colon", "0x20002058: ", "0x20002058 ", "1 row unreadable"},
		{"lost colon behind a prefix", "0x20002058: ", "[INFO] 0x20002058 ", "1 row unreadable"},
	} {
		_, snaps, err := read(t, strings.Replace(liteosMLog, c.old, c.new, 1))
		if err != nil || snaps[0].Partial != c.partial {
			t.Errorf("%s: %v\n%s", c.name, err, renderWhole(t, snaps[:1]))
		}
	}
}

func FuzzLiteOSA(f *testing.F) { fuzzLog(f, liteosAFormats) }
func FuzzLiteOSM(f *testing.F) { fuzzLog(f, liteosMFormats, liteosMLog) }

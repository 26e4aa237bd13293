package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/heapwright/heapwright/heap"
)

// Whatever a log holds: no panic, ascending nodes, bounded stacks, no error
// besides "no listing", boots that only go up, and the same answer however the
// text arrives.
func FuzzReader(f *testing.F) {
	log := testdata(f, "leak-series.log")
	first := bytes.Index(log, []byte("Huawei LiteOS # memused"))
	f.Add(log[first : first+600])
	f.Add(log[first : first+2000])
	tasks := bytes.Index(log, []byte("Huawei LiteOS # free"))
	f.Add(log[tasks : tasks+2500])
	hang := testdata(f, "memused_zero_hang.log")
	f.Add(hang[len(hang)-300:])
	overflow := testdata(f, "ovf_hdr41_freeB.log")
	i := bytes.Index(overflow, []byte("[ERR]"))
	f.Add(overflow[i-300 : i+900])
	f.Add([]byte(header + row1 + "0x00058b44:  0x00015e60 gt: tick\r\n 0x00011fc8  0x00021744 \r\n" + row3 + end))
	f.Add([]byte(strings.ReplaceAll(header+row1+row2+end, "\n", "")))
	f.Add([]byte("\x1b[0m" + header + row1 + "\r\n exc interaction memory\r\n" + header + row2))
	f.Add([]byte("node  LR[0]  LR[1]\n0xffffffc000056bac:  0x0000000000011ea0  (nil)\n\n"))
	f.Add([]byte("pool0 :\r\n" + infoHead + info0 + free + "[10:00:00.123] cam # memused\r\n[   12.345678] " + header + row1 + "cam # "))
	f.Add([]byte("Hello Huawei LiteOS\n" + header + row1 + "U-Boot SPL\nHello Huawei LiteOS\ngt: begins\n" + header + row2 + "\n"))
	for _, shifted := range []bool{false, true} {
		dev := script(shifted)
		dev.event(invalidAction, 0x60008, 0, heap.Stack{0x11ea0, 0x21744, 0x113dc})
		dev.WriteString("gt: begins\nHuawei LiteOS # memshowdisable\nHuawei LiteOS # memshowenable\nRec:error:the printf speed is low,Rnd\n")
		dev.churn(rand.New(rand.NewPCG(1, 1)), 20, func() {})
		f.Add(slices.Clone(dev.Bytes()))
		dev.boot()
		dev.churn(rand.New(rand.NewPCG(1, 1)), 20, func() {})
		f.Add([]byte(strings.Join(chunks(strings.ReplaceAll(dev.String(), "\n", ""), 61), "\r\n")))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		r, all, err := readFrom(t, bytes.NewReader(log))
		if (err != nil) != (len(all) == 0) {
			t.Fatalf("%d snapshots and error %v", len(all), err)
		}
		for i, s := range all {
			for _, n := range s.Nodes {
				if len(n.Stack) > maxLevels || len(n.Stack) > 0 && n.Stack[len(n.Stack)-1] == 0 {
					t.Fatalf("stack %v", n.Stack)
				}
			}
			if i > 0 && s.Boot < all[i-1].Boot {
				t.Fatalf("boot %d after %d", s.Boot, all[i-1].Boot)
			}
		}
		if st := r.Stats(); st.Snapshots != len(all) || st.Bytes > int64(len(log)) {
			t.Fatalf("%d snapshots in %d bytes, counted %+v", len(all), len(log), st)
		}
		if a, b := everything(t, bytes.NewReader(log)), everything(t, iotest.OneByteReader(bytes.NewReader(log))); a != b {
			t.Fatalf("at once:\n%s\nbyte by byte:\n%s", a, b)
		}
	})
}

// everything returns all that a log holds as text to compare.
func everything(t *testing.T, log io.Reader) string {
	r := NewReader(log, "x.log")
	r.Marks = []string{"begins", "ends"}
	r.EveryTicks = 3
	var b strings.Builder
	findings := 0
	for i, err := range r.Items() {
		switch {
		case err != nil:
			fmt.Fprintln(&b, err)
		case (i.Snapshot == nil) == (i.Finding == nil):
			t.Fatalf("item %+v", i)
		case i.Snapshot != nil:
			fmt.Fprintf(&b, "%+v\n", *i.Snapshot)
		default:
			findings++
			text, err := json.Marshal(i.Finding)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n", text)
		}
	}
	if n := r.Stats().Findings; n != findings {
		t.Fatalf("%d findings, counted %d", findings, n)
	}
	fmt.Fprintln(&b, r.Notes(), r.Tasks())
	return b.String()
}

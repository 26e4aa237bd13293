package console

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever a log holds: no panic, ascending nodes, bounded stacks, no error
// besides "no listing", and the same answer however the text arrives.
func FuzzReader(f *testing.F) {
	log := testdata(f, "leak-series.log")
	first := bytes.Index(log, []byte("Huawei LiteOS # memused"))
	f.Add(log[first : first+600])
	f.Add(log[first : first+2000])
	hang := testdata(f, "memused_zero_hang.log")
	f.Add(hang[len(hang)-300:])
	overflow := testdata(f, "ovf_hdr41_freeB.log")
	i := bytes.Index(overflow, []byte("[ERR]"))
	f.Add(overflow[i-300 : i+900])
	f.Add([]byte(header + row1 + "0x00058b44:  0x00015e60 gt: tick\r\n 0x00011fc8  0x00021744 \r\n" + row3 + end))
	f.Add([]byte(strings.ReplaceAll(header+row1+row2+end, "\n", "")))
	f.Add([]byte("\x1b[0m" + header + row1 + "\r\n exc interaction memory\r\n" + header + row2))
	f.Add([]byte("node  LR[0]  LR[1]\n0xffffffc000056bac:  0x0000000000011ea0  (nil)\n\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		r, all, err := readFrom(t, bytes.NewReader(log))
		if (err != nil) != (len(all) == 0) {
			t.Fatalf("%d snapshots and error %v", len(all), err)
		}
		for _, s := range all {
			for _, n := range s.Nodes {
				if len(n.Stack) > maxLevels || len(n.Stack) > 0 && n.Stack[len(n.Stack)-1] == 0 {
					t.Fatalf("stack %v", n.Stack)
				}
			}
		}
		if st := r.Stats(); st.Snapshots != len(all) || st.Bytes > int64(len(log)) {
			t.Fatalf("%d snapshots in %d bytes, counted %+v", len(all), len(log), st)
		}
		r.Notes()
		_, slow, _ := readFrom(t, iotest.OneByteReader(bytes.NewReader(log)))
		if a, b := renderAll(all), renderAll(slow); a != b {
			t.Fatalf("at once:\n%s\nbyte by byte:\n%s", a, b)
		}
	})
}

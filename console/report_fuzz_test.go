package console

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever a log holds: no panic, findings that say where they were read, the
// same ones when the log is read as a whole, and bounds that hold.
func FuzzReports(f *testing.F) {
	for name, n := range withReports {
		if n > 0 {
			log := testdata(f, name)
			i := max(bytes.Index(log, []byte("[ERR]")), 0)
			f.Add(log[i:min(i+4000, len(log))])
		}
	}
	list := testdata(f, "badnode_clean.log")
	i := bytes.Index(list, []byte("node:"))
	f.Add(list[i : i+1000])
	f.Add([]byte(findBad + copyIs + goodCopy + front + "[ERR][OsMemBackupSetup4Next]the next node is broken!!\n" + badNode41 + "[ERR]Current node details:\n" + front))
	f.Add([]byte("[ERR]illegal gapSize: 0x1\n" + wild(0xb785c)))
	f.Add([]byte("[ERR]DlinkHead[3]: pstPrev:0x41414141, pstNext:0x41414141\n" + panics))
	f.Fuzz(func(t *testing.T, log []byte) {
		for _, f := range reports("log", log) {
			if !strings.HasPrefix(f.Source, "log:") || f.Kind == "" || f.Stack == nil {
				t.Fatalf("%+v", f)
			}
			memory := 0
			for _, m := range f.Memory {
				memory += len(m.Bytes)
			}
			if len(f.Stack) > maxTrace+2 || len(f.Frames) > len(f.Stack) || memory > maxDump+256 || len(f.Fields) > maxFreeLists+maxCheckLRs {
				t.Fatalf("%+v", f)
			}
			if f.Span.End < f.Span.Start || f.Repaired && !f.Recovered {
				t.Fatalf("%+v", f)
			}
		}
	})
}

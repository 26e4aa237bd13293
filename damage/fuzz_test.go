package damage_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// Whatever a log holds: no panic, what was observed stays, nothing is blamed
// without a reason, and what is said is bounded by what the log holds.
func FuzzExplain(f *testing.F) {
	logs, err := filepath.Glob("../console/testdata/*.log")
	if err != nil || len(logs) == 0 {
		f.Fatal(len(logs), err)
	}
	devices, _ := filepath.Glob("../console/testdata/devices/*.log")
	for _, path := range append(logs, devices...) {
		log, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range []string{"# memused", "[ERR]", "CORRUPT HEAP", "Memory block wrong", "check finish"} {
			if i := bytes.Index(log, []byte(text)); i >= 0 {
				f.Add(log[i:min(len(log), i+4000)])
			}
		}
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		e := damage.NewExplainer(names{})
		said, findings := 0, 0
		for item, err := range console.NewReader(bytes.NewReader(log), "log").Items() {
			if err != nil {
				break
			}
			if item.Snapshot != nil {
				e.Add(item.Snapshot)
				continue
			}
			f, before := item.Finding, *item.Finding
			e.Explain(f)
			if f.Node != before.Node || f.Pointer != before.Pointer || f.Expected != before.Expected || !f.Stack.Equal(before.Stack) ||
				f.Partial != before.Partial || len(f.Memory) != len(before.Memory) {
				t.Fatalf("changed what was observed: %+v to %+v", before, *f)
			}
			if f.Culprit != nil && f.CulpritReason == "" || f.Kind == heap.DoubleFree && f.Cause == "" {
				t.Fatalf("no reason: %+v", f)
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			said += len(text)
			findings++
		}
		for _, n := range e.Notes() {
			said += len(n)
		}
		if lines := bytes.Count(log, []byte("\n")) + 1 + bytes.Count(log, []byte("\r")) + len(log)/4096; findings > 2*lines || said > 20*len(log)+20_000*(findings+1) {
			t.Fatalf("%d findings and %d bytes about %d lines and %d bytes", findings, said, lines, len(log))
		}
	})
}

package console

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

var updateReports = flag.Bool("update-reports", false, "rewrite testdata/reports")

// reports returns what liteosReports finds in a log, its lines shown one by
// one as the Reader does.
func reports(name string, log []byte) []*heap.Finding {
	var all []*heap.Finding
	r := newLiteosReports(name, func(f *heap.Finding) { all = append(all, f) })
	n := 0
	for line := range bytes.Lines(log) {
		n++
		r.line(bytes.TrimSuffix(line, []byte("\n")), n)
	}
	r.end()
	return all
}

func asJSON(t testing.TB, findings []*heap.Finding) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	for _, f := range findings {
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// What the real logs hold, fact by fact.
func TestReportsGolden(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.log")
	if err != nil || len(logs) < 11 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	for _, path := range logs {
		name := filepath.Base(path)
		log, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := asJSON(t, reports(name, log))
		golden := filepath.Join("testdata/reports", strings.TrimSuffix(name, ".log")+".json")
		if *updateReports {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

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
		if *update {
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

// withReports are the real logs that hold reports, and how many.
var withReports = map[string]int{
	"double_free_merged.log": 1, "ic_ovf_hdr41_memcheck.log": 1, "leakic_ovf28_memcheck.log": 1, "ovf_hdr41_freeB.log": 1,
	"ovf_hdrFF_freeB.log": 1, "ovf_into_free_then_alloc.log": 1, "wild_mid.log": 1, "wild_stack.log": 1,
	"badnode_clean.log": 0, "leak-series.log": 0, "memused_zero_hang.log": 0, "ovf_small16_free.log": 0,
}

// A log that ends anywhere gives nothing, or all, or something that says it is
// partial. Only the backtrace of a panic can end without notice: it has no end.
func TestReportsCut(t *testing.T) {
	for name, n := range withReports {
		log := testdata(t, name)
		full := reports(name, log)
		if len(full) != n {
			t.Fatalf("%s: %d findings", name, len(full))
		}
		if n == 0 {
			continue
		}
		lines := bytes.SplitAfter(log, []byte("\n"))
		for k := range lines {
			got := reports(name, bytes.Join(lines[:k], nil))
			if len(got) > 1 {
				t.Fatalf("%s, %d lines: %d findings", name, k, len(got))
			}
			for _, f := range got {
				f, want := *f, *full[0]
				if f.Op == "check" && f.Partial == "" && len(f.Stack) > 0 {
					f.Stack, f.Frames, want.Stack, want.Frames = nil, nil, nil, nil
				}
				if d := cmp.Diff(want, f); d != "" && f.Partial == "" {
					t.Errorf("%s, %d lines: not said to be partial (-whole +got):\n%s", name, k, d)
				}
			}
		}
		for k := 0; k < min(len(log), 8000); k += 13 { // in the middle of a line
			reports(name, log[len(log)-k:])
			for _, f := range reports(name, log[:len(log)-k]) {
				if f.Node != full[0].Node && f.Node != 0 && f.Partial == "" {
					t.Errorf("%s without %d bytes: node %s", name, k, f.Node)
				}
			}
		}
	}
}

// What stands around the lines of a report changes nothing but line numbers.
func TestReportsAround(t *testing.T) {
	for name := range withReports {
		log := testdata(t, name)
		want := reports(name, log)
		for _, f := range want {
			f.Source = ""
		}
		for what, change := range map[string]func(line string) string{
			"LF":          func(l string) string { return strings.TrimSuffix(l, "\r") },
			"CRLF":        func(l string) string { return strings.TrimSuffix(l, "\r") + "\r" },
			"time stamp":  func(l string) string { return "[2026-11-22 10:00:00.123] " + l },
			"ticks":       func(l string) string { return "  1234.567| " + l },
			"other tasks": func(l string) string { return l + "\ngt: tick 12 of 0x2b94c\r\n[net] up 0x10: 3" },
			"blank lines": func(l string) string { return l + "\n\r" },
			"a prompt":    func(l string) string { return l + "\nHuawei LiteOS # \r" },
		} {
			if what == "a prompt" && name == "ovf_hdr41_freeB.log" {
				continue // the same restoration twice, which the prompt makes two
			}
			var changed strings.Builder
			for line := range strings.SplitSeq(string(log), "\n") {
				changed.WriteString(change(line) + "\n")
			}
			got := reports(name, []byte(changed.String()))
			for _, f := range got {
				f.Source = ""
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s with %s (-want +got):\n%s", name, what, d)
			}
		}
	}
}

// A byte that is lost anywhere in a report changes none of its facts without
// notice. Return addresses have nothing to be checked against.
func TestReportsLostByte(t *testing.T) {
	for _, name := range []string{"wild_mid.log", "wild_stack.log", "double_free_merged.log", "ovf_hdr41_freeB.log", "ovf_into_free_then_alloc.log"} {
		log := testdata(t, name)
		want := *reports(name, log)[0]
		start := bytes.Index(log, []byte("[ERR]"))
		for i := start; i < len(log); i++ {
			cut := append(append([]byte{}, log[start:i]...), log[i+1:]...)
			for _, f := range reports(name, cut) {
				if f.Partial != "" || f.Node == 0 { // the word in front of a pointer says no more
					continue
				}
				facts := func(f heap.Finding) string {
					s := fmt.Sprintln(f.Kind, f.Node, f.Pointer, f.Expected, f.Repaired)
					for _, n := range []*heap.Node{f.Subject, f.Previous} {
						if n != nil {
							s += fmt.Sprintln(n.Addr, n.Total, n.State)
						}
					}
					return s
				}
				if d := cmp.Diff(facts(want), facts(*f)); d != "" {
					t.Errorf("%s without byte %d of %q: %s", name, i, log[max(i-12, 0):i+4], d)
				}
			}
		}
	}
}

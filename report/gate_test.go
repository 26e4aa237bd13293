package report

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// What fails in the gate fails in all formats that know failures.
func TestFormatsFailWithTheGate(t *testing.T) {
	for _, c := range []struct {
		least                 leak.Verdict
		junit, sarif, annoted int
	}{
		{"", 2, 4, 2}, // with those that are tolerated in SARIF, which marks them
		{leak.Confirmed, 2, 4, 2},
		{leak.Suspect, 3, 5, 3},
		{"none", 0, 0, 0},
	} {
		d := &Document{Growth: judged(), FailOn: c.least}
		failures := 0
		for _, k := range checkJUnit(t, write(t, func(w io.Writer) error { return JUnit(w, d, Options{}) })) {
			if k.Failure != nil {
				failures++
			}
		}
		sarif := strings.Count(write(t, func(w io.Writer) error { return SARIF(w, d, Options{}) }), `"level":"error","message"`)
		github := strings.Count(write(t, func(w io.Writer) error { return GitHub(w, d, Options{}) }), "::error ")
		if failures != c.junit || sarif != c.sarif || github != c.annoted {
			t.Errorf("%q: %d failures, %d errors, %d annotations, want %+v", c.least, failures, sarif, github, c)
		}
	}
}

// Skipped tests look like success: where nothing can be told there is an error,
// unless something fails anyway.
func TestInconclusiveIsAnError(t *testing.T) {
	failing, calm := judged(), judged()
	calm.Sites = calm.Sites[5:]
	for _, c := range []struct {
		growth *leak.Growth
		want   string
	}{
		{failing, ""},
		{calm, "No leak can be confirmed; 1 inconclusive, 3 stable."},
		{series(leak.Listing{listing(1, "", "", 1, 0, 1)}), "One listing cannot show growth: let the device run, print another, and give the log of both, or both logs in order."},
	} {
		got := ""
		for _, k := range checkJUnit(t, write(t, func(w io.Writer) error { return JUnit(w, &Document{Growth: c.growth}, Options{}) })) {
			if k.Error != nil {
				got = k.Error.Message
			}
		}
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Results are new or unchanged only where there is a baseline to compare with.
func TestBaselineState(t *testing.T) {
	g := judged()
	for i := range g.Sites {
		g.Sites[i].Baseline = false
	}
	for compared, want := range map[bool]int{false: 0, true: 5} {
		d := &Document{Growth: g, Findings: []heap.Finding{overflow()}, Symbols: sym, Baseline: compared}
		got := write(t, func(w io.Writer) error { return SARIF(w, d, Options{}) })
		if n := strings.Count(got, `"baselineState":"new"`); n != want || strings.Contains(got, "unchanged") {
			t.Errorf("%v: %d new", compared, n)
		}
	}
}

// Sites of one chain of functions keep their names when their ranks change.
func TestOrdinals(t *testing.T) {
	site := func(line int) leak.Site {
		return leak.Site{Verdict: leak.Confirmed, Frames: []heap.Frame{frame(0x100, "f", "a.c", 5), frame(heap.Addr(line), "g", "a.c", line)}}
	}
	names := func(sites ...leak.Site) map[int]string {
		d := &Document{Growth: &leak.Growth{Sites: sites}}
		junit := map[string]bool{}
		for _, k := range checkJUnit(t, write(t, func(w io.Writer) error { return JUnit(w, d, Options{}) })) {
			junit[k.Name] = true
		}
		if !junit["f <- g"] || !junit["f <- g #2"] {
			t.Error(junit)
		}
		all := map[int]string{}
		for a := range alerts(d) {
			all[a.site.Frames[1].Line] = a.fingerprint
		}
		return all
	}
	got := names(site(10), site(20))
	if got[10] == got[20] {
		t.Error("two sites have one fingerprint")
	}
	if d := cmp.Diff(got, names(site(20), site(10))); d != "" {
		t.Error("they depend on the rank:", d)
	}
	if d := cmp.Diff(got[10], names(site(10), site(30))[10]); d != "" {
		t.Error("the first depends on the second:", d)
	}
}

package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// JUnit writes the document as test results: a test case for each call site,
// which fails where a leak is confirmed that nobody tolerates, and a failed one
// for each finding. Sites that are tolerated, and those of which nothing can be
// told, are skipped with the reason; a suspect passes and says so in its output,
// unless Document.FailOn makes it fail. One more test case is an error where the
// listings cannot tell whether something leaks, for many tools take skipped tests
// for success. Test cases are named by their chain of functions, so that a test
// keeps its name while lines and addresses move.
func JUnit(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	b := bufio.NewWriter(w)
	x := &junit{Writer: b, names: map[string]int{}, doc: d}
	b.WriteString(xml.Header)
	leaks, findings := x.tally(d.Growth), tally{tests: len(d.Findings), failures: len(d.Findings)}
	x.open("testsuites", leaks.add(findings), "heapwright")
	if d.Growth != nil {
		x.open("testsuite", leaks, "heap leaks")
		v := newView(d.Growth)
		x.enough(v)
		x.numbers = ordinals(v.Sites, func(s *leak.Site) string { return siteClass(s) + "\x00" + siteName(s) })
		for i := range v.Sites {
			x.site(v, &v.Sites[i], i+1)
		}
		x.output(slices.Concat([]string{verdicts(v)}, d.warnings(), growthNotes(d.Growth), d.Notes))
		x.close("testsuite")
	}
	if len(d.Findings) > 0 || d.Growth == nil {
		x.open("testsuite", findings, "heap integrity")
		for i := range d.Findings {
			x.finding(&d.Findings[i], d.Symbols)
		}
		if d.Growth == nil {
			x.output(slices.Concat(d.warnings(), d.Notes))
		}
		x.close("testsuite")
	}
	x.close("testsuites")
	return b.Flush()
}

// tally counts test cases.
type tally struct{ tests, failures, errors, skipped int }

func (t tally) add(u tally) tally {
	return tally{t.tests + u.tests, t.failures + u.failures, t.errors + u.errors, t.skipped + u.skipped}
}

func (x *junit) tally(g *leak.Growth) (t tally) {
	if g == nil {
		return t
	}
	t.tests = len(g.Sites) + 1
	if x.inconclusive(g) {
		t.errors++
	}
	for i := range g.Sites {
		switch s := &g.Sites[i]; {
		case skipped(s) != "":
			t.skipped++
		case x.doc.fails(s):
			t.failures++
		}
	}
	return t
}

// inconclusive reports whether nothing fails, but only because the listings
// cannot tell what growth means.
func (x *junit) inconclusive(g *leak.Growth) bool {
	o := g.Gate(x.doc.least())
	return o.Inconclusive && len(o.Failing) == 0
}

// skipped says why a site is no test that passes or fails; "" if it is one.
func skipped(s *leak.Site) string {
	switch {
	case leaks(s) && s.Suppressed != "":
		return "suppressed by " + s.Suppressed
	case leaks(s) && s.Baseline:
		return "known from the baseline"
	case verdict(s) == leak.Inconclusive:
		return s.Reason
	}
	return ""
}

// junit writes elements. Errors are those of the writer, which keeps them.
type junit struct {
	*bufio.Writer
	doc     *Document
	names   map[string]int     // how often a test case's name has been given
	numbers map[*leak.Site]int // of the sites with one name
}

func (x *junit) open(element string, t tally, name string) {
	fmt.Fprintf(x, "<%s name=\"%s\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\">\n", element, escapeXML(name), t.tests, t.failures, t.errors, t.skipped)
}

func (x *junit) close(element string) { fmt.Fprintf(x, "</%s>\n", element) }

// testcase opens a test case. CI tells them apart by name, so a name that comes
// again is numbered.
func (x *junit) testcase(class, name, file string, line int) {
	key := class + "\x00" + name
	x.names[key]++
	if n := x.names[key]; n > 1 {
		name += fmt.Sprintf(" #%d", n)
	}
	fmt.Fprintf(x, `<testcase classname="%s" name="%s"`, escapeXML(class), escapeXML(name))
	if file != "" {
		fmt.Fprintf(x, ` file="%s" line="%d"`, escapeXML(plain.Clean(file)), line)
	}
	x.WriteString(">")
}

// enough is the test case that is an error where nothing can be told.
func (x *junit) enough(v *view) {
	x.testcase("heap.leaks", "the listings suffice for a verdict", "", 0)
	if x.inconclusive(v.Growth) {
		why := verdicts(v)
		if few := tooFew(v.Growth); len(few) > 0 {
			why = sentence(few[0])
		}
		fmt.Fprintf(x, `<error type="%s" message="%s"/>`, leak.Inconclusive, escapeXML(plain.Clean(why)))
	}
	x.WriteString("</testcase>\n")
}

func siteClass(s *leak.Site) string {
	if s.Pool == "" {
		return "heap.leaks"
	}
	return "heap.leaks." + plain.Clean(s.Pool)
}

func siteName(s *leak.Site) string {
	frames, _ := interesting(s)
	return chainName(frames)
}

func (x *junit) site(v *view, s *leak.Site, rank int) {
	frames, _ := interesting(s)
	a := alert{frames: frames}
	place, _ := a.place()
	name := siteName(s)
	if n := x.numbers[s]; n > 1 {
		name += fmt.Sprintf(" #%d", n)
	}
	x.testcase(siteClass(s), name, place.File, place.Line)
	why := skipped(s)
	switch {
	case why != "":
		fmt.Fprintf(x, `<skipped message="%s: %s"/>`, verdict(s), escapeXML(plain.Clean(why)))
	case x.doc.fails(s):
		a := v.alert(s, rank)
		fmt.Fprintf(x, `<failure type="%s" message="%s">%s</failure>`, s.Verdict, escapeXML(a.message), content(stacksText(a.stacks)))
	case leaks(s):
		a := v.alert(s, rank)
		fmt.Fprintf(x, "<system-out>%s</system-out>", content(string(s.Verdict)+": "+a.message+"\n"+stacksText(a.stacks)))
	}
	x.WriteString("</testcase>\n")
}

func (x *junit) finding(f *heap.Finding, sym heap.Symbolizer) {
	a := findingAlert(f, sym)
	place, _ := a.place()
	x.testcase("heap.integrity", plain.Clean(string(f.Kind))+": "+chainName(a.frames), place.File, place.Line)
	var text strings.Builder
	FindingText(&text, f, sym, nil, Options{})
	fmt.Fprintf(x, `<failure type="%s" message="%s">%s</failure></testcase>`+"\n", escapeXML(plain.Clean(string(f.Kind))), escapeXML(a.message), content(text.String()))
}

// warnings returns those of d, marked as such.
func (d *Document) warnings() []string {
	all := make([]string, len(d.Warnings))
	for i, s := range d.Warnings {
		all[i] = "warning: " + s
	}
	return all
}

// output writes lines as what a suite has printed.
func (x *junit) output(lines []string) {
	if len(lines) == 0 {
		return
	}
	x.WriteString("<system-out>")
	for _, s := range lines {
		x.WriteString(escapeXML(plain.Clean(s)) + "\n")
	}
	x.WriteString("</system-out>\n")
}

// stacksText writes stacks, a frame a line.
func stacksText(stacks []namedStack) string {
	var b strings.Builder
	for _, s := range stacks {
		b.WriteString(s.name + "\n")
		for _, f := range s.frames {
			b.WriteString("  " + plain.Clean(f.String()) + "\n")
		}
	}
	return b.String()
}

// chainName names a call chain by its functions.
func chainName(frames []heap.Frame) string {
	if len(frames) == 0 {
		return "(no call stack)"
	}
	var names []string
	for _, f := range frames {
		names = append(names, function(f))
	}
	return strings.Join(names, " <- ")
}

// content escapes text for the content of an element, in which lines stay lines.
func content(s string) string { return strings.ReplaceAll(escapeXML(s), "&#xA;", "\n") }

// escapeXML escapes text for content and attributes; what XML has no way to
// write becomes U+FFFD.
func escapeXML(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

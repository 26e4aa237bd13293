package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

type format func(io.Writer, *Document, Options) error

var allFormats = map[string]format{
	"text": Text, "json": JSON, "pprof": Profile, "collapsed": Collapsed, "sarif": SARIF, "junit": JUnit, "github": GitHub,
}

// everything is a document with sites and findings.
func everything() *Document {
	return &Document{Growth: judged(), Findings: []heap.Finding{overflow(), doubleFree()}, Symbols: sym, Baseline: true, Warnings: []string{"a warning"}, Notes: []string{"a note"}}
}

func TestFormats(t *testing.T) {
	for name, f := range map[string]format{"collapsed.txt": Collapsed, "leaks.sarif": SARIF, "leaks.xml": JUnit, "github.txt": GitHub} {
		golden(t, name, write(t, func(w io.Writer) error { return f(w, everything(), Options{Version: "v1.2.3"}) }))
	}
}

// Documents without sites, without findings, without anything are documents.
func TestFormatsOfLittle(t *testing.T) {
	for _, d := range []*Document{{}, {Growth: &leak.Growth{}}, {Findings: []heap.Finding{{}}, Symbols: sym}, {Growth: series(leak.Listing{listing(1, "", "cut", 1, 0, 1)})}} {
		for name, f := range allFormats {
			check(t, name, write(t, func(w io.Writer) error { return f(w, d, Options{Width: 80, Top: -1}) }))
		}
	}
}

// check reads a document as the tools do for which it is meant.
func check(t *testing.T, name, text string) {
	t.Helper()
	if name != "pprof" && !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8: %q", name, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f && name != "json" && name != "sarif" }); name != "pprof" && i >= 0 {
		t.Errorf("%s has a control character: %q", name, text[max(0, i-20):i+1])
	}
	switch name {
	case "json":
		if !json.Valid([]byte(text)) {
			t.Errorf("%s: %s", name, text)
		}
	case "pprof":
		if _, err := profile.ParseData([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	case "collapsed":
		for line := range strings.Lines(text) {
			i := strings.LastIndexByte(line, ' ')
			if i < 1 {
				t.Fatalf("%s: %q", name, line)
			}
			if _, err := strconv.ParseUint(strings.TrimSpace(line[i:]), 10, 64); err != nil || strings.Contains(line[:i], ";;") {
				t.Errorf("%s: %q", name, line)
			}
		}
	case "sarif":
		checkSARIF(t, text)
	case "junit":
		checkJUnit(t, text)
	case "github":
		for line := range strings.Lines(text) {
			if !regexp.MustCompile(`^::(error|warning|notice) (file=[^:,]+,line=\d+,)?title=[^:,]+::.+\n$`).MatchString(line) {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}

// checkSARIF checks what the standard's schema requires of the parts written.
func checkSARIF(t *testing.T, text string) (results int) {
	t.Helper()
	type message struct{ Text string }
	type location struct {
		PhysicalLocation *struct {
			ArtifactLocation *struct{ URI string }
			Region           *struct{ StartLine int }
			Address          *struct{ AbsoluteAddress *int64 }
		}
		LogicalLocations []struct{ Name, FullyQualifiedName, Kind string }
	}
	var log struct {
		Schema  string `json:"$schema"`
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name, Version, InformationURI string
					Rules                         []struct {
						ID, Name                          string
						ShortDescription, FullDescription message
						DefaultConfiguration              struct{ Level string }
					}
				}
			}
			Invocations []struct {
				ExecutionSuccessful        *bool
				ToolExecutionNotifications []struct {
					Level   string
					Message message
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex *int
				Level     string
				Message   message
				Locations []location
				Stacks    []struct {
					Message message
					Frames  []struct{ Location location }
				}
				PartialFingerprints map[string]string
				BaselineState       string
				Suppressions        []struct{ Kind, Status, Justification string }
				Properties          map[string]any
			}
		}
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&log); err != nil {
		t.Fatal(err, text)
	}
	if log.Version != "2.1.0" || log.Schema == "" || len(log.Runs) != 1 {
		t.Fatal(text)
	}
	run := log.Runs[0]
	if run.Tool.Driver.Name == "" || run.Results == nil || len(run.Invocations) != 1 || run.Invocations[0].ExecutionSuccessful == nil {
		t.Error(text)
	}
	seen := map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		if r.ID == "" || seen[r.ID] || r.ShortDescription.Text == "" || r.FullDescription.Text == "" || r.DefaultConfiguration.Level == "" {
			t.Errorf("%+v", r)
		}
		seen[r.ID] = true
	}
	place := func(l location) {
		p := l.PhysicalLocation
		if p == nil && l.LogicalLocations == nil {
			t.Error("a location without anything")
		}
		if p != nil && (p.ArtifactLocation == nil) == (p.Address == nil) {
			t.Errorf("%+v", *p)
		}
		if p != nil && p.ArtifactLocation != nil {
			if _, err := url.Parse(p.ArtifactLocation.URI); err != nil || p.ArtifactLocation.URI == "" {
				t.Error(p.ArtifactLocation.URI, err)
			}
		}
		if p != nil && p.Region != nil && p.Region.StartLine < 1 {
			t.Errorf("%+v", *p.Region)
		}
	}
	for _, r := range run.Results {
		if r.RuleIndex == nil || run.Tool.Driver.Rules[*r.RuleIndex].ID != r.RuleID || r.Message.Text == "" || r.PartialFingerprints["callChain/v1"] == "" || r.Locations == nil {
			t.Errorf("%+v", r)
		}
		if r.Level != "error" && r.Level != "warning" {
			t.Errorf("level %q", r.Level)
		}
		for _, l := range r.Locations {
			place(l)
		}
		for _, s := range r.Stacks {
			if s.Frames == nil {
				t.Error("a stack without frames")
			}
			for _, f := range s.Frames {
				place(f.Location)
			}
		}
		for _, s := range r.Suppressions {
			if s.Kind != "external" && s.Kind != "inSource" {
				t.Errorf("%+v", s)
			}
		}
	}
	return len(run.Results)
}

type junitCase struct {
	Class   string `xml:"classname,attr"`
	Name    string `xml:"name,attr"`
	File    string `xml:"file,attr"`
	Line    int    `xml:"line,attr"`
	Failure *struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	} `xml:"failure"`
	Error *struct {
		Message string `xml:"message,attr"`
	} `xml:"error"`
	Skipped *struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
}

// checkJUnit checks that counts are those of the cases and names differ.
func checkJUnit(t *testing.T, text string) (cases []junitCase) {
	t.Helper()
	type count struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	var doc struct {
		XMLName xml.Name `xml:"testsuites"`
		count
		Suites []struct {
			count
			Cases []junitCase `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.NewDecoder(strings.NewReader(text)).Decode(&doc); err != nil {
		t.Fatal(err, text)
	}
	var all count
	names := map[string]bool{}
	for _, s := range doc.Suites {
		var n count
		for _, c := range s.Cases {
			n.Tests++
			if c.Failure != nil {
				n.Failures++
			}
			if c.Error != nil {
				n.Errors++
			}
			if c.Skipped != nil {
				n.Skipped++
			}
			if key := c.Class + "\x00" + c.Name; names[key] || c.Name == "" {
				t.Errorf("two cases have the name %q", c.Name)
			} else {
				names[key] = true
			}
		}
		if n != s.count {
			t.Errorf("%+v, but there are %+v", s.count, n)
		}
		all.Tests += n.Tests
		all.Failures += n.Failures
		all.Errors += n.Errors
		all.Skipped += n.Skipped
		cases = append(cases, s.Cases...)
	}
	if all != doc.count {
		t.Errorf("%+v, but there are %+v", doc.count, all)
	}
	return cases
}

// What a gate lets through does not fail, and what it does not does.
func TestToleratedIsNoFailure(t *testing.T) {
	failed := map[string]bool{}
	for _, c := range checkJUnit(t, write(t, func(w io.Writer) error { return JUnit(w, everything(), Options{}) })) {
		if c.Failure != nil {
			failed[c.Name] = true
		}
	}
	if len(failed) != 4 || !failed["net_rx <- OsTaskEntry"] || !failed["log_dup <- log_line"] {
		t.Error(failed)
	}
	github := write(t, func(w io.Writer) error { return GitHub(w, everything(), Options{}) })
	if strings.Count(github, "::error") != 4 || strings.Count(github, "::warning") != 2 || !strings.Contains(github, "::warning title=heapwright::a warning\n") || !strings.Contains(github, "::error file=net/rx.c,line=140,title=heap leak confirmed::") {
		t.Error(github)
	}
	sarif := write(t, func(w io.Writer) error { return SARIF(w, everything(), Options{}) })
	if n := checkSARIF(t, sarif); n != 7 || strings.Count(sarif, `"baselineState":"unchanged"`) != 1 || strings.Count(sarif, `"suppressions"`) != 1 {
		t.Error(n, sarif)
	}
}

// A fingerprint does not change with lines and addresses, but with functions.
func TestFingerprint(t *testing.T) {
	frames := judged().Sites[0].Frames
	want := fingerprint("leak", "", frames)
	moved := append([]heap.Frame(nil), frames...)
	for i := range moved {
		moved[i].Line += 10
		moved[i].Addr += 400
	}
	if got := fingerprint("leak", "", moved); got != want {
		t.Error("it depends on lines or addresses")
	}
	moved[1].Function = "other"
	for _, other := range []string{fingerprint("leak", "", moved), fingerprint("leak", "exc", frames), fingerprint("leak", "", frames[1:])} {
		if other == want {
			t.Error("it does not depend on the pool and the functions")
		}
	}
}

// Where a pointer was freed is where the function for that was called.
func TestPlaceOfFinding(t *testing.T) {
	frames := named{frame(1, "LOS_BackTrace", "los_exc.c", 1), frame(1, "OsMemFree", "los_memory.c", 2), frame(1, "LOS_MemFree", "los_memory.c", 3), frame(1, "free", "libc.c", 4), frame(1, "net_close", "", 0), frame(1, "net_task", "net.c", 6)}
	a := findingAlert(&heap.Finding{Kind: heap.DoubleFree, Stack: heap.Stack{1}, Cause: "it was freed twice"}, frames)
	if f, ok := a.place(); !ok || f.File != "net.c" || chainName(a.frames) != "net_close <- net_task" {
		t.Error(f, chainName(a.frames))
	}
	if a.message != "double-free: the pointer given is 0x0. Most likely it was freed twice." {
		t.Error(a.message)
	}
}

func TestFileURI(t *testing.T) {
	for name, want := range map[string]string{
		"app/main.c": "app/main.c", "/src/a b.c": "file:///src/a%20b.c", `C:\fw\main.c`: "file:///C:/fw/main.c", `app\main.c`: "app/main.c",
		"a:b/c.c": "./a:b/c.c", "x\xff\n.c": "x%FF%0A.c", "100%#?.c": "100%25%23%3F.c",
	} {
		if got := fileURI(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestEscapeGitHub(t *testing.T) {
	if got := escapeData("50%\r\na::b,c"); got != "50%25%0D%0Aa::b,c" {
		t.Error(got)
	}
	if got := escapeProperty("C:\\x,y%\n"); got != "C%3A\\x%2Cy%25%0A" {
		t.Error(got)
	}
}

// nasty are names that mean something to one of the formats.
var nasty = []string{
	"", "]]>", "<!--", "&amp;\"'", "::error::x", "%0A::warning::x", "a;b;c 7", "a,b:c=d", "x\r\n::notice::y", "\x00\x1b[31m\x7f", "\xff\xfe", "\ufffe\uffff", "\u2028\u0085",
	"operator new[](unsigned long)", "std::vector<int, std::allocator<int> >::push_back(int const&)", "größe", strings.Repeat("long", 300), "{{x}}", "#1", "\\u0000", "C:\\fw\\a.c",
}

// hostile puts a name everywhere where names can stand.
func hostile(name string) *Document {
	stack := heap.Stack{1, 2}
	frames := []heap.Frame{{Addr: 1, Function: name, File: name, Line: 3, Inlined: true}, {Addr: 1, Function: name, File: name}, {Addr: 2, Function: name, Line: -5}}
	info := func(n int, partial string) leak.Info {
		return leak.Info{Label: name, Source: name + ":" + strconv.Itoa(n), Pool: name, Partial: partial}
	}
	g := &leak.Growth{
		Listings: [][]leak.Info{{info(1, "")}, {info(-2, name)}, {info(3, "")}},
		Pools:    []leak.Window{{Pool: name, First: 1, Last: 3, Complete: 2, Shown: 3, Exhaustion: 1, Free: 1}},
	}
	for i, v := range []leak.Verdict{leak.Confirmed, leak.Suspect, leak.Inconclusive, leak.Stable, leak.Confirmed, leak.Confirmed, ""} {
		s := leak.Site{Pool: name, Frames: frames, Stack: stack, Verdict: v, Reason: name, Counts: counts(8, 1, 2, 3), Growth: 2, LeakedNodes: 2, Interesting: i - 1}
		s.Baseline = i == 4
		if i == 5 {
			s.Suppressed = name + "x"
		}
		g.Sites = append(g.Sites, s)
	}
	node := &heap.Node{Addr: 64, Size: 8, Owner: 1, Stack: stack, State: heap.State(9)}
	f := heap.Finding{
		Kind: heap.Kind(name), Pool: name, Op: name, Source: name, Task: name, Fields: []heap.Field{{Name: name, Header: name, Backup: name, Differs: true}},
		Span: heap.Span{Start: 9, End: 5}, Reach: name, Subject: node, Previous: node, Culprit: &heap.Node{Addr: 1}, CulpritReason: name, Detail: name, Cause: name,
		Unseen: []string{name, name}, Partial: name, Memory: []heap.Memory{{Addr: ^heap.Addr(0), Bytes: []byte(name)}}, Owners: map[heap.Owner]string{1: name},
		Node: 64, Stack: stack, FirstFree: stack,
	}
	return &Document{
		Growth: g, Findings: []heap.Finding{f, {Kind: heap.DoubleFree, Stack: stack, Detail: name}}, Symbols: named(frames), Notes: []string{name},
		Mappings: []heap.Mapping{{Start: 0, Limit: 100, File: name, BuildID: name}},
		Listing:  leak.Listing{{Pool: name, Owners: map[heap.Owner]string{1: name}, Nodes: []heap.Node{*node, {Addr: 99, Stack: stack, Owner: 1, Total: 8}}}},
	}
}

// named resolves every address to the same frames.
type named []heap.Frame

func (n named) Frames(heap.Addr) []heap.Frame { return n }

func TestHostileNames(t *testing.T) {
	for _, name := range nasty {
		for f, write := range allFormats {
			for _, o := range []Options{{Width: 80, Top: -1}, {Verbose: true}, {Width: 10, ASCII: true}} {
				var b bytes.Buffer
				if err := write(&b, hostile(name), o); err != nil {
					t.Errorf("%s of %q: %v", f, name, err)
				}
				check(t, f, b.String())
			}
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range nasty {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for format, write := range allFormats {
			var b bytes.Buffer
			if err := write(&b, hostile(name), Options{Width: 80, Top: -1}); err != nil {
				t.Errorf("%s of %q: %v", format, name, err)
			}
			check(t, format, b.String())
		}
	})
}

func TestFormatsReportWriteErrors(t *testing.T) {
	for name, f := range allFormats {
		if err := f(full{}, everything(), Options{}); err != errFull {
			t.Errorf("%s: %v", name, err)
		}
	}
}

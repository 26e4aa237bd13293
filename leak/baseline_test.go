package leak

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func baseline(t testing.TB, text string) *Baseline {
	t.Helper()
	b, err := ReadBaseline(strings.NewReader(text), "known.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func written(t testing.TB, b *Baseline) string {
	t.Helper()
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const known = `{"heapwright_baseline":1,
"sites":[
{"pool":"","chain":["malloc","log_dup","0x2b94c"]},
{"pool":"","chain":["operator<<(Log&, char const*)","net_rx"],"call_sites":2},
{"pool":"exc","chain":["malloc","log_dup","0x2b94c"]}
]}
`

func TestNewBaseline(t *testing.T) {
	g := judged(t,
		"CONFIRMED 8/9 operator<<(Log&, char const*) <- net_rx",
		"STABLE 0/9 boot",
		"SUSPECT 8/9 operator<<(Log&, char const*) <- net_rx.isra.0",
		"INCONCLUSIVE 8/9 unclear",
		"CONFIRMED 8/9 accepted",
		"CONFIRMED 8/9 malloc <- log_dup <- 0x2b94c",
		"CONFIRMED 8/9 malloc <- log_dup <- 0x2b94c")
	g.Sites[5].Pool = "exc"
	suppressions(t, "leak:accepted").Apply(g, today)
	b := NewBaseline(g)
	if d := cmp.Diff(known, written(t, b)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(known, written(t, baseline(t, known))); d != "" || b.Len() != 3 {
		t.Errorf("%d entries, read and written again: %s", b.Len(), d)
	}
	none := NewBaseline(judged(t, "STABLE 0/9 boot"))
	if n := baseline(t, written(t, none)).Len(); n != 0 {
		t.Errorf("%d entries of no leak", n)
	}
	b.Apply(g)
	for i := range g.Sites {
		s := &g.Sites[i]
		if want := s.Suppressed == "" && (s.Verdict == Confirmed || s.Verdict == Suspect); s.Baseline != want || s.Reason != "why" {
			t.Errorf("%s %s: in its own baseline: %v, %s", s.Verdict, chain(s.Frames), s.Baseline, s.Reason)
		}
	}
}

func TestBaselineApply(t *testing.T) {
	b := baseline(t, known)
	const stream = "operator<<(Log&, char const*) <- net_rx"
	for _, c := range []struct {
		name  string
		sites []string
		known string // y or n for each site
		gone  string
	}{
		{"known", []string{"CONFIRMED 8/9 malloc <- log_dup <- 0x2b94c"}, "y", stream + "\n[exc] malloc <- log_dup <- 0x2b94c"},
		{"suspected", []string{"SUSPECT 8/9 malloc <- log_dup <- 0x2b94c", "INCONCLUSIVE 1/1 " + stream}, "yy", "[exc] malloc <- log_dup <- 0x2b94c"},
		{
			"mended",
			[]string{"STABLE 8/9 malloc <- log_dup <- 0x2b94c", "CONFIRMED 8/9 malloc <- log_dup", "CONFIRMED 8/9 f <- malloc <- log_dup <- 0x2b94c"},
			"nnn",
			"malloc <- log_dup <- 0x2b94c\n" + stream + "\n[exc] malloc <- log_dup <- 0x2b94c",
		},
		{"as many", []string{"CONFIRMED 8/9 " + stream, "CONFIRMED 8/9 " + stream, "STABLE 8/9 " + stream}, "yyn", "malloc <- log_dup <- 0x2b94c\n[exc] malloc <- log_dup <- 0x2b94c"},
		{"one more", []string{"CONFIRMED 8/9 " + stream, "CONFIRMED 8/9 " + stream, "CONFIRMED 8/9 " + stream}, "nnn", "malloc <- log_dup <- 0x2b94c\n[exc] malloc <- log_dup <- 0x2b94c"},
		{"one more suspect", []string{"CONFIRMED 8/9 " + stream, "CONFIRMED 8/9 " + stream, "SUSPECT 8/9 " + stream}, "yyn", "malloc <- log_dup <- 0x2b94c\n[exc] malloc <- log_dup <- 0x2b94c"},
	} {
		g := judged(t, c.sites...)
		b.Apply(g)
		got := ""
		for i := range g.Sites {
			s := &g.Sites[i]
			got += map[bool]string{true: "y", false: "n"}[s.Baseline]
			if many := c.name == "one more" || s.Verdict == Suspect && c.name == "one more suspect"; strings.Contains(s.Reason, "3 call sites of this function chain leak, known.json knows of 2") != many {
				t.Errorf("%s: reason %q", c.name, s.Reason)
			}
		}
		if gone := strings.Join(b.Gone(), "\n"); got != c.known || gone != c.gone {
			t.Errorf("%s: %s, gone %s", c.name, got, gone)
		}
	}
}

// Lines and addresses move with every build.
func TestBaselineOfAnotherBuild(t *testing.T) {
	g := judged(t, "CONFIRMED 8/9 malloc <- log_dup")
	for i := range g.Sites[0].Frames {
		f := &g.Sites[0].Frames[i]
		f.Addr, f.File, f.Line = 0x1000, "log.c", 80
	}
	b := NewBaseline(g)
	for i := range g.Sites[0].Frames {
		f := &g.Sites[0].Frames[i]
		f.Addr, f.File, f.Line = 0x2000, "src/log.c", 90
	}
	g.Sites[0].Frames[1].Function = "log_dup.isra.0"
	b.Apply(g)
	if !g.Sites[0].Baseline {
		t.Errorf("%s", written(t, b))
	}
}

// Names that are no text come back from the file as the names they are.
func TestBaselineOfOddNames(t *testing.T) {
	g := judged(t, "CONFIRMED 8/9 f")
	g.Sites[0].Frames = []heap.Frame{{Function: "a\xff\xfe<\u2028>\x1b\"\\"}, {Addr: 16}}
	g.Sites[0].Pool = "p\xff"
	b := baseline(t, written(t, NewBaseline(g)))
	b.Apply(g)
	if !g.Sites[0].Baseline || len(b.Gone()) != 0 {
		t.Errorf("%q", written(t, b))
	}
}

func TestBaselineErrors(t *testing.T) {
	const head = `{"heapwright_baseline":1,` + "\n"
	for file, want := range map[string]string{
		"":                                      "known.json: the file is empty",
		" \n":                                   "the file is empty",
		"leak:f":                                "known.json:1: the baseline cannot be read: invalid character 'l'",
		"{}":                                    "lacks heapwright_baseline",
		`{"listings":7}`:                        "lacks heapwright_baseline",
		"[]":                                    "known.json:1: the baseline cannot be read: the file holds the wrong kind of value, array",
		known[:60]:                              "known.json:3: the baseline cannot be read: the file is cut off",
		known + "x":                             "known.json:7: the baseline cannot be read: something follows behind the end",
		"\n" + known + known:                    "something follows",
		strings.Replace(known, ":1,", ":2,", 1): "this is a baseline of version 2, and only 1 is understood",
		strings.Replace(known, ":1,", `:"1",`, 1):                       "heapwright_baseline holds the wrong kind of value, string",
		"<<<<<<< HEAD\n" + known:                                        "known.json:1: the baseline cannot be read",
		strings.Replace(known, "\n{", "\n=======\n{", 1):                "known.json:3: the baseline cannot be read: invalid character '='",
		head + `"sites":[{"chain":[]}]}`:                                "known.json: site 1 lacks its chain",
		head + `"sites":[{"chain":["f"]},{}]}`:                          "known.json: site 2 lacks its chain",
		head + `"sites":[{"chain":["f"],"call_sites":-1}]}`:             "site 1 has call_sites -1: write a number from 1",
		head + `"sites":[{"chain":["f"]},` + "\n" + `{"chain":["f"]}]}`: "f is listed twice: leave one",
		head + `"sites":[{"chain":"f"}]}`:                               "known.json:2: the baseline cannot be read: sites.chain holds the wrong kind of value, string",
		head + `"sites":[{"chains":["f"]}]}`:                            `unknown field "chains"`,
		strings.Repeat(" ", 17<<20):                                     "larger than",
		strings.Repeat("[", 100_000):                                    "known.json:1: the baseline cannot be read",
	} {
		if _, err := ReadBaseline(strings.NewReader(file), "known.json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", file, err, want)
		}
	}
	if _, err := ReadBaseline(directory(t), "known.json"); err == nil || !strings.HasPrefix(err.Error(), "known.json: ") {
		t.Errorf("unreadable: %v", err)
	}
}

// Whatever a file holds, it is read or refused with its name, and what is read
// is written so that it reads the same.
func FuzzBaseline(f *testing.F) {
	f.Add([]byte(known))
	f.Add([]byte(`{"heapwright_baseline":1}`))
	f.Add([]byte(`{"heapwright_baseline":1,"sites":[{"chain":["\u001b\ud800"]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ReadBaseline(bytes.NewReader(text), "known.json")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "known.json:") {
				t.Errorf("%v", err)
			}
			return
		}
		first := written(t, b)
		if second := written(t, baseline(t, first)); first != second {
			t.Errorf("%s\nand again:\n%s", first, second)
		}
		b.Apply(judged(t, "CONFIRMED 8/9 f", "SUSPECT 1/1 malloc <- log_dup <- 0x2b94c"))
	})
}

// The symbols that nm prints tell nothing of inlined functions, the firmware's
// ELF file does.
func TestBaselineLeavesOutInlinedFunctions(t *testing.T) {
	known := baseline(t, written(t, NewBaseline(judged(t, "CONFIRMED 8/9 malloc <- mqtt_publish"))))
	g := judged(t, "CONFIRMED 8/9 malloc <- msg_new <- mqtt_publish")
	g.Sites[0].Frames[1].Inlined = true
	known.Apply(g)
	if !g.Sites[0].Baseline || len(known.Gone()) > 0 {
		t.Errorf("not known; gone: %q", known.Gone())
	}
	if d := cmp.Diff(written(t, known), written(t, NewBaseline(g))); d != "" {
		t.Error(d)
	}
}

// Without symbols no function that a baseline names can be found: that does not
// mean that the leaks are mended.
func TestBaselineWithoutSymbols(t *testing.T) {
	const functions, addresses, stackless = "CONFIRMED 8/9 malloc <- log_dup", "CONFIRMED 8/9 0x8040 <- 0x8054", "CONFIRMED 8/9 [no stack: 8 to 15 bytes]"
	for _, c := range []struct {
		known, seen string
		addresses   int // of the baseline
		resolved    bool
		gone        int
	}{
		{functions, addresses, 0, false, 0},
		{functions, stackless, 0, false, 0},
		{functions, "CONFIRMED 8/9 malloc <- 0x8054", 0, true, 1},
		{functions, functions, 0, true, 0},
		{addresses, addresses, 1, true, 0},
		{addresses, functions, 1, true, 1},
		{stackless, stackless, 0, true, 0},
		{stackless, addresses, 0, true, 1},
	} {
		b := NewBaseline(judged(t, c.known))
		b.Apply(judged(t, c.seen))
		if b.Addresses() != c.addresses || b.Resolved() != c.resolved || len(b.Gone()) != c.gone {
			t.Errorf("%s, then %s: %d addresses, resolved %v, gone %q", c.known, c.seen, b.Addresses(), b.Resolved(), b.Gone())
		}
	}
}

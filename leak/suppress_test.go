package leak

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// judged makes a Growth of sites given as "VERDICT leaked/held chain"; with
// bytes, "VERDICT leaked*size/held chain".
func judged(t testing.TB, sites ...string) *Growth {
	t.Helper()
	w := Window{First: 1, Last: 9, Complete: 9, Shown: 9}
	g := &Growth{Pools: []Window{w}}
	for _, text := range sites {
		var s Site
		var leaked, size, held int
		words := strings.SplitN(text, " ", 3)
		if _, err := fmt.Sscanf(words[1], "%d*%d/%d", &leaked, &size, &held); err == nil {
			s.Sized = true
		} else if _, err := fmt.Sscanf(words[1], "%d/%d", &leaked, &held); err != nil {
			t.Fatal(err)
		}
		s.Verdict, s.Reason, s.Frames = Verdict(words[0]), "why", frames(words[2])
		s.Growth, s.GrowthBytes = leaked, int64(leaked*size)
		if s.Verdict == Confirmed || s.Verdict == Suspect {
			s.LeakedNodes, s.LeakedBytes = leaked, uint64(leaked*size)
		}
		s.Counts = []Count{{Listing: 1, Nodes: 1}, {Listing: 5, Nodes: held}, {Listing: 9, Nodes: 2}}
		g.Sites = append(g.Sites, s)
	}
	return g
}

func suppressions(t testing.TB, text string) *Suppressions {
	t.Helper()
	s, err := ReadSuppressions(strings.NewReader(text), "ci.supp")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var today = time.Date(2026, 11, 22, 23, 59, 59, 0, time.Local)

func TestSuppressions(t *testing.T) {
	for _, c := range []struct {
		name, file, site string
		suppressed       string // by; empty: it is not
		reason           string // what is added
		unused           string
	}{
		{"plain", "leak:log_dup", "CONFIRMED 83/90 malloc <- log_dup", "ci.supp:1: leak:log_dup", "", ""},
		{"suspect", "leak:log_dup", "SUSPECT 83/90 malloc <- log_dup", "ci.supp:1: leak:log_dup", "", ""},
		{"inconclusive", "leak:log_dup", "INCONCLUSIVE 83/90 malloc <- log_dup", "ci.supp:1: leak:log_dup", "", ""},
		{
			"stable", "leak:log_dup", "STABLE 0/90 malloc <- log_dup", "", "",
			"ci.supp:1: leak:log_dup is not needed: nothing that it matches leaks here",
		},
		{"another function", "leak:log", "CONFIRMED 83/90 malloc <- log_dup", "", "", "ci.supp:1: leak:log matches no call site"},
		{"comments", "\ufeff# known\r\n\r\n \tleak:log_*\t# why\r\n", "CONFIRMED 8/9 log_dup", "ci.supp:3: leak:log_*", "", ""},
		{"no comment", "leak:f#1", "CONFIRMED 8/9 f#1", "ci.supp:1: leak:f#1", "", ""},
		{"name with blanks and =", "leak:A::operator=(A const&) max_nodes=9", "CONFIRMED 8/9 A::operator=(A const&)", "ci.supp:1: leak:A::operator=(A const&) max_nodes=9", "", ""},
		{
			"the first of two", "leak:f max_nodes=2\nleak:g\nleak:*", "CONFIRMED 8/9 f <- g", "ci.supp:2: leak:g", "",
			"ci.supp:3: leak:* accepts every leak, also new ones: name functions",
		},

		{"within nodes", "leak:f max_nodes=83", "CONFIRMED 83/90 f", "ci.supp:1: leak:f max_nodes=83", "", ""},
		{"beyond nodes", "leak:f max_nodes=82", "CONFIRMED 83/90 f", "", "; ci.supp:1: leak:f max_nodes=82: it leaks 83 nodes", ""},
		{"growth beyond nodes", "leak:f max_nodes=82", "INCONCLUSIVE 83/90 f", "", "; ci.supp:1: leak:f max_nodes=82: it leaks 83 nodes", ""},
		{"within bytes", "leak:f max_bytes=1K", "CONFIRMED 16*64/20 f", "ci.supp:1: leak:f max_bytes=1K", "", ""},
		{"beyond bytes", "leak:f max_bytes=1023", "CONFIRMED 16*64/20 f", "", "; ci.supp:1: leak:f max_bytes=1023: it leaks 1024 bytes", ""},
		{"megabytes", "leak:f max_bytes=1M", "CONFIRMED 1025*1024/2000 f", "", "; ci.supp:1: leak:f max_bytes=1M: it leaks 1049600 bytes", ""},
		{"unknown bytes", "leak:f max_bytes=1M", "CONFIRMED 1/20 f", "", "; ci.supp:1: leak:f max_bytes=1M: the log does not tell sizes, max_nodes= would do", ""},
		{"both limits", "leak:f max_bytes=1M max_nodes=2", "CONFIRMED 3*8/20 f", "", "; ci.supp:1: leak:f max_bytes=1M max_nodes=2: it leaks 3 nodes", ""},
		{
			"two that do not hold", "leak:f max_nodes=2\nleak:* max_nodes=1", "CONFIRMED 3/20 f", "",
			"; ci.supp:1: leak:f max_nodes=2: it leaks 3 nodes; ci.supp:2: leak:* max_nodes=1: it leaks 3 nodes", "",
		},

		{
			"everything", "leak:* <- **", "CONFIRMED 3/20 f <- g", "ci.supp:1: leak:* <- **", "",
			"ci.supp:1: leak:* <- ** accepts every leak, also new ones: name functions",
		},
		{"last day", "leak:f expires=2026-11-22", "CONFIRMED 3/20 f", "ci.supp:1: leak:f expires=2026-11-22", "", ""},
		{
			"expired", "leak:f expires=2026-11-21", "CONFIRMED 3/20 f", "", "; ci.supp:1: leak:f expires=2026-11-21: has expired",
			"ci.supp:1: leak:f expires=2026-11-21 expired on 2026-11-21: look whether it still leaks",
		},

		{"full cache", "cache:f max=30", "CONFIRMED 20/30 f", "ci.supp:1: cache:f max=30", "", ""},
		{"overfull cache", "cache:f max=30", "CONFIRMED 20/31 f", "", "; ci.supp:1: cache:f max=30: it holds 31 nodes", ""},
		{"calm cache", "cache:f max=30", "STABLE 0/31 f", "", "", ""},
		{"no cache", "cache:g max=30", "STABLE 0/31 f", "", "", "ci.supp:1: cache:g max=30 matches no call site"},
	} {
		s, g := suppressions(t, c.file), judged(t, c.site)
		s.Apply(g, today)
		got := []string{g.Sites[0].Suppressed, g.Sites[0].Reason, strings.Join(s.Unused(), "\n")}
		if d := cmp.Diff([]string{c.suppressed, "why" + c.reason, c.unused}, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestSuppressionErrors(t *testing.T) {
	for file, want := range map[string]string{
		"log_dup":                              `ci.supp:1: "log_dup" is neither leak:PATTERN nor cache:PATTERN: write leak:`,
		"\n\nlea:log_dup":                      "ci.supp:3: ",
		"# fine\nleak:":                        "ci.supp:2: the pattern is empty: write a function's name",
		"leak: max_nodes=3":                    "the pattern is empty",
		"leak:f <-":                            "write * for any",
		"leak:f max_nodes=0":                   "write a number from 1, max_nodes=30",
		"leak:f max_nodes=2K":                  "write a number from 1, max_nodes=30",
		"leak:f max_nodes=-1":                  "write a number from 1",
		"leak:f max_bytes=12Q":                 "max_bytes=12Q is not a size: write a number from 1, max_bytes=4096 or max_bytes=4K",
		"leak:f max_bytes=":                    "is not a size",
		"leak:f max_bytes=99999999999999M":     "is not a size",
		"leak:f expires=tomorrow":              "write year, month and day, expires=2026-12-31",
		"leak:f expires=2026-02-30":            "is not a date",
		"leak:f max=3":                         `"max=" is no option of leak: write max_nodes=, max_bytes= or expires=`,
		"cache:f":                              "needs the number of nodes that it may fill to: write cache:f max=30",
		"cache:f max_nodes=3":                  `"max_nodes=" is no option of cache: write max=NODES`,
		"cache:f max=3 expires=2026-12-31":     `"expires=" is no option of cache`,
		"leak:f max_nodes=3 max_nodes=4":       "max_nodes= is given twice: leave one",
		"leak:f max_nodes=3 why not":           "something that is no option follows max_nodes=: write # in front of a comment",
		"leak:max_nodes=3":                     "the pattern is empty",
		"leak:f\x1b[2J":                        "not text",
		"leak:f\xff":                           "not text",
		"leak:" + strings.Repeat("x", 2000):    "at most 1024",
		"leak:f\n" + strings.Repeat("x", 5000): "ci.supp:2: the line is longer than 4096 bytes",
		strings.Repeat("leak:f\n", 1001):       "ci.supp:1001: more than 1000 suppressions",
		strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 1100): "larger than 1048576 bytes",
	} {
		if _, err := ReadSuppressions(strings.NewReader(file), "ci.supp"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", file, err, want)
		}
	}
	if _, err := ReadSuppressions(directory(t), "ci.supp"); err == nil || !strings.HasPrefix(err.Error(), "ci.supp:1: ") {
		t.Errorf("unreadable: %v", err)
	}
}

// directory opens something that cannot be read.
func directory(t *testing.T) *os.File {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Whatever a file holds, it is read or refused with its name, and what is read
// is read again from its own lines.
func FuzzSuppressions(f *testing.F) {
	f.Add("# known\nleak:at_parse <- modem_* max_nodes=40 expires=2026-12-31 # why\ncache:dns_remember max=64\n")
	f.Add("leak:A::operator=(A const&) max_bytes=4K\r\n\r\nleak:f\tmax_nodes=1")
	f.Add("\ufeffleak:*")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSuppressions(strings.NewReader(text), "ci.supp")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "ci.supp:") {
				t.Errorf("%v", err)
			}
			return
		}
		var lines strings.Builder
		for _, r := range s.rules {
			fmt.Fprintln(&lines, r.text)
		}
		again, err := ReadSuppressions(strings.NewReader(lines.String()), "ci.supp")
		if err != nil || len(again.rules) != len(s.rules) {
			t.Fatalf("%q: %v", lines.String(), err)
		}
		g := judged(t, "CONFIRMED 3*8/20 malloc <- log_dup", "STABLE 0/1 f")
		s.Apply(g, today)
		s.Unused()
	})
}

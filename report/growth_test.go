package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// counts makes the counts of a site, of nodes with size bytes each.
func counts(size int, nodes ...int) (all []leak.Count) {
	for i, n := range nodes {
		if n > 0 {
			all = append(all, leak.Count{Listing: i + 1, Nodes: n, Bytes: uint64(n * size)})
		}
	}
	return all
}

func frame(addr heap.Addr, function, file string, line int) heap.Frame {
	return heap.Frame{Addr: addr, Function: function, File: file, Line: line}
}

// judged is what an analysis says of seven listings of a device: every verdict,
// every way of being tolerated, wrappers, inlined functions, two pools, a
// partial listing.
func judged() *leak.Growth {
	g := &leak.Growth{Pools: []leak.Window{
		{Pool: "", First: 1, Last: 7, Complete: 7, Shown: 7, Free: 208 << 10, Exhaustion: 133 * time.Minute},
		{Pool: "exc", First: 2, Last: 7, Complete: 5, Shown: 6},
	}}
	for i := range 7 {
		l := []leak.Info{{Label: fmt.Sprintf("listing %d", i+1), Source: fmt.Sprintf("a.log:%d", 100*(i+1)), Nodes: 132 + 38*i}}
		if i > 0 {
			l = append(l, leak.Info{Source: fmt.Sprintf("a.log:%d", 100*(i+1)+50), Pool: "exc", Nodes: 2 + i})
		}
		g.Listings = append(g.Listings, l)
	}
	g.Listings[3][1].Partial = "cut after 2 nodes"
	inlined := frame(0x2baa0, "pkt_new", "net/pkt.h", 31)
	inlined.Inlined = true
	g.Sites = []leak.Site{
		{
			Verdict: leak.Confirmed, Reason: "83 of 85 mature nodes never died", P: 1e-9, LeakedNodes: 83, LeakedBytes: 83 * 80, NodesPerHour: 4980, BytesPerHour: 398400,
			Frames: []heap.Frame{inlined, frame(0x2baa0, "app_malloc", "app/mem.c", 12), frame(0x2bb30, "pkt_alloc", "net/pkt.c", 88), frame(0x2bbac, "net_rx", "net/rx.c", 140), frame(0x2bc00, "OsTaskEntry", "kernel/base/core/los_task.c", 410)},
			Stack:  heap.Stack{0x2baa0, 0x2bb30, 0x2bbac, 0x2bc00}, Interesting: 3,
			Counts: counts(80, 19, 32, 49, 65, 81, 97, 102), Sized: true, Growth: 83, GrowthBytes: 83 * 80,
		}, {
			Verdict: leak.Confirmed, Reason: "41 of 44 mature nodes never died, and the oldest third of them are all alive although the code that allocates them ran to its end", P: 1e-5, LeakedNodes: 41,
			Frames: []heap.Frame{frame(0x2657c, "malloc", "", 0), frame(0x2bd48, "log_dup", "", 0), frame(0x2bd94, "log_line", "", 0)},
			Stack:  heap.Stack{0x2657c, 0x2bd48, 0x2bd94}, Interesting: 1,
			Counts: counts(0, 10, 16, 25, 33, 40, 49, 51), Growth: 41,
		}, {
			Pool: "exc", Verdict: leak.Suspect, Reason: "5 nodes never died: too few to exclude chance", P: 0.04, LeakedNodes: 5,
			Frames: []heap.Frame{frame(3, "evil\x1b[31m\nname", "", 0)}, Stack: heap.Stack{3},
			Counts: counts(0, 0, 1, 2, 1, 4, 5, 6), Growth: 5,
		}, {
			Verdict: leak.Confirmed, Reason: "9 of 9 mature nodes never died", P: 1e-4, LeakedNodes: 9, Suppressed: "leak:boot_cfg_* # until release 4",
			Frames: []heap.Frame{frame(0x30000, "boot_cfg_read", "app/cfg.c", 5)}, Stack: heap.Stack{0x30000},
			Counts: counts(0, 1, 2, 4, 6, 7, 9, 10), Growth: 9,
		}, {
			Verdict: leak.Confirmed, Reason: "8 of 8 mature nodes never died", P: 1e-3, LeakedNodes: 8, Baseline: true,
			Frames: []heap.Frame{frame(0x30100, "old_leak", "app/old.c", 77), frame(0x30200, "main", "app/main.c", 9)}, Stack: heap.Stack{0x30100, 0x30200},
			Counts: counts(0, 1, 2, 4, 6, 7, 8, 9), Growth: 8,
		}, {
			Verdict: leak.Inconclusive, Reason: "4 births are too few to tell", P: 1,
			Frames: []heap.Frame{frame(0x30300, "", "", 0)}, Stack: heap.Stack{0x30300},
			Counts: counts(0, 0, 0, 0, 0, 0, 2, 4), Growth: 4,
		}, {
			Verdict: leak.Stable, Reason: "it stopped growing after listing 4", P: 1,
			Frames: []heap.Frame{frame(0x2c000, "cache_fill", "app/cache.c", 20), frame(0x2c100, "cache_task", "app/cache.c", 60)}, Stack: heap.Stack{0x2c000, 0x2c100},
			Counts: counts(0, 10, 16, 25, 30, 30, 30, 30), Growth: 20,
		}, {
			Verdict: leak.Stable, Reason: "nothing was born", P: 1,
			Frames: []heap.Frame{frame(0x2d000, "OsTaskInit", "", 0), frame(0x2d100, "OsMain", "", 0)}, Stack: heap.Stack{0x2d000, 0x2d100},
			Counts: counts(0, 15, 15, 15, 15, 15, 15, 15),
		}, {
			Verdict: leak.Stable, Reason: "nothing was born", P: 1, Counts: counts(0, 4, 4, 4, 4, 4, 4, 3), Growth: -1, Stack: heap.Stack{},
		},
	}
	for i := range g.Sites {
		w := g.Pool(g.Sites[i].Pool)
		g.Sites[i].From, g.Sites[i].To = w.First, w.Last
	}
	return g
}

func growthText(t *testing.T, g *leak.Growth, o Options) string {
	return write(t, func(w io.Writer) error { return Text(w, &Document{Growth: g}, o) })
}

func TestGrowthText(t *testing.T) {
	for name, o := range map[string]Options{
		"growth-80.txt":      {Width: 80, Top: -1, TopHint: "--top 0 shows all"},
		"growth-120.txt":     {Width: 120, Top: -1},
		"growth-40.txt":      {Width: 40, Top: -1},
		"growth-all.txt":     {Top: 0},
		"growth-top2.txt":    {Width: 80, Top: 2, TopHint: "--top 0 shows all"},
		"growth-ascii.txt":   {Width: 80, Top: -1, ASCII: true},
		"growth-verbose.txt": {Width: 80, Top: -1, Verbose: true},
		"growth-color.txt":   {Width: 80, Top: -1, Color: true},
	} {
		got := growthText(t, judged(), o)
		golden(t, name, got)
		if lines := strings.Count(got, "\n"); o.Width >= 80 && o.Top < 0 && !o.Verbose && lines > 24+3 {
			t.Errorf("%s: %d lines do not fit a screen, 3 lines of notes aside", name, lines)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); o.Width >= 80 && !o.Color && n > o.Width {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

func TestColorOnlyAddsEscapes(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		plain := growthText(t, judged(), Options{Width: 80, Top: -1, Verbose: verbose})
		colored := growthText(t, judged(), Options{Width: 80, Top: -1, Verbose: verbose, Color: true})
		if strings.Contains(plain, "\x1b") || !strings.Contains(colored, bold+red+"CONFIRMED") || !strings.Contains(colored, yellow+"SUSPECT") {
			t.Errorf("%q", colored)
		}
		for _, e := range []string{bold, red, green, yellow, faint, reset} {
			colored = strings.ReplaceAll(colored, e, "")
		}
		if d := cmp.Diff(plain, colored); d != "" {
			t.Error(d)
		}
	}
}

func TestVerdictsSentence(t *testing.T) {
	site := func(v leak.Verdict) leak.Site { return leak.Site{Verdict: v} }
	for _, c := range []struct {
		sites []leak.Site
		want  string
	}{
		{nil, "No call site leaks."},
		{[]leak.Site{site(leak.Stable)}, "No call site leaks; 1 stable."},
		{[]leak.Site{site(leak.Confirmed)}, "1 call site leaks."},
		{[]leak.Site{site(leak.Confirmed), site(leak.Confirmed), site(leak.Suspect), site(leak.Stable)}, "2 call sites leak, 1 suspect; 1 stable."},
		{[]leak.Site{site(leak.Suspect), site(leak.Inconclusive)}, "No leak is confirmed, 1 call site suspect; 1 inconclusive."},
		{[]leak.Site{site(leak.Inconclusive), site(leak.Stable)}, "No leak can be confirmed; 1 inconclusive, 1 stable."},
		{[]leak.Site{{Verdict: leak.Confirmed, Baseline: true}, {Verdict: leak.Confirmed, Suppressed: "x"}, site(leak.Stable)}, "No call site leaks that is not known; 1 stable, 1 known from the baseline, 1 suppressed."},
		{[]leak.Site{{Verdict: leak.Confirmed, NodesPerHour: 3}, {Verdict: leak.Confirmed, NodesPerHour: 4, BytesPerHour: 5}}, "2 call sites leak 7.0 nodes an hour."},
		{[]leak.Site{{Verdict: leak.Confirmed, NodesPerHour: 3, BytesPerHour: 3072}, {Verdict: leak.Suspect}}, "1 call site leaks 3.0 KiB an hour, 1 suspect."},
	} {
		if got := verdicts(newView(&leak.Growth{Sites: c.sites})); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, c := range []struct {
		site leak.Site
		want string
	}{
		{leak.Site{Verdict: leak.Stable, Growth: 50, From: 1, To: 11}, ""},
		{leak.Site{Verdict: leak.Confirmed, Growth: 50, From: 1, To: 11}, "5.0/listing"},
		{leak.Site{Verdict: leak.Suspect, Growth: 50, From: 1, To: 11, Sized: true, GrowthBytes: 20480}, "2.0 KiB/listing"},
		{leak.Site{Verdict: leak.Confirmed, Growth: 50, From: 1, To: 11, NodesPerHour: 7}, "7.0 nodes/h"},
		{leak.Site{Verdict: leak.Confirmed, Growth: 50, From: 1, To: 11, NodesPerHour: 7, BytesPerHour: 1024}, "1.0 KiB/h"},
		{leak.Site{Verdict: leak.Confirmed, Growth: 50, From: 12, To: 12}, "50/listing"},
		{leak.Site{Verdict: leak.Confirmed, From: 1, To: 11}, ""},
	} {
		// The pool was compared in another, longer run.
		v := newView(&leak.Growth{Pools: []leak.Window{{First: 12, Last: 512, Complete: 501}}})
		if got := v.rate(&c.site); got != c.want {
			t.Errorf("%+v: %q, want %q", c.site, got, c.want)
		}
	}
}

func TestSparkline(t *testing.T) {
	line := func(o Options, nodes ...int) string {
		g := &leak.Growth{Pools: []leak.Window{{Complete: 2}}, Listings: make([][]leak.Info, len(nodes))}
		for i, n := range nodes {
			switch n {
			case -1: // without the pool
			case -2:
				g.Listings[i] = []leak.Info{{Partial: "cut"}}
			default:
				g.Listings[i] = []leak.Info{{}}
			}
		}
		return newText(io.Discard, o).sparkline(newView(g), &leak.Site{Counts: counts(0, nodes...)})
	}
	long := make([]int, 500)
	for i := range long {
		long[i] = i
	}
	for _, c := range []struct {
		o     Options
		nodes []int
		want  string
	}{
		{Options{}, []int{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"},
		{Options{ASCII: true}, []int{0, 1, 2, 3, 4, 5, 6, 7}, "_.:-=+*#"},
		{Options{}, []int{15, 15, 15}, "███"},
		{Options{}, []int{0, 0}, "▁▁"},
		{Options{}, []int{-1, 7, -2, 0}, "·█·▁"},
		{Options{ASCII: true}, []int{-1, 7, -2, 0}, " # _"},
		{Options{}, long, "▁▁▂▂▂▃▃▄▄▄▅▅▅▆▆▇▇▇██"},
		{Options{}, nil, ""},
	} {
		if got := line(c.o, c.nodes...); got != c.want {
			t.Errorf("%v: %q, want %q", c.nodes, got, c.want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for n, want := range map[float64]string{0.25: "0.2", 9.94: "9.9", 9.96: "10", 4980: "4980", 999_999: "999999", 12e6: "12.0M"} {
		if got := number(n); got != want {
			t.Errorf("%g: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0 B", 1023: "1023 B", 1023.6: "1.0 KiB", 1536: "1.5 KiB", 1024 * 1023.96: "1.0 MiB", 1e30: "867361737988.4 EiB"} {
		if got := size(n); got != want {
			t.Errorf("%g: %s, want %s", n, got, want)
		}
	}
}

// A screen has 24 lines, whatever there is to say.
func TestScreenful(t *testing.T) {
	g := judged()
	for range 6 {
		g.Sites = append(g.Sites, g.Sites...)
	}
	got := growthText(t, g, Options{Width: 80, Top: -1, TopHint: "--all"})
	if lines := strings.Count(got, "\n"); lines > 24+3 || !strings.Contains(got, "Call sites not shown: 189 confirmed or suspect, 127 that grew, 128 that did not\ngrow, 128 tolerated; --all.") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
	for top, rows := range map[int]int{0: 64 * 9, 5: 10, 1 << 20: 64 * 9} {
		got := growthText(t, g, Options{Width: 80, Top: top})
		if n := strings.Count(got, "→"); n != rows {
			t.Errorf("top %d: %d rows, want %d", top, n, rows)
		}
	}
}

// A taller screen shows more.
func TestTallScreen(t *testing.T) {
	g := judged()
	rows := func(height int) int {
		return strings.Count(growthText(t, g, Options{Width: 80, Height: height, Top: -1}), "→")
	}
	if rows(0) != 4 || rows(24) != 4 || rows(10) != 4 || rows(40) != 7 {
		t.Error(rows(0), rows(24), rows(10), rows(40))
	}
}

func TestTooFewListings(t *testing.T) {
	g := series(
		leak.Listing{listing(1, "", "cut", 1, 64, 1, 2)},
		leak.Listing{listing(2, "", "cut", 9, 64, 1, 2)},
	)
	got := growthText(t, g, Options{Width: 80, Top: -1})
	if !strings.HasPrefix(got, "There are not two complete listings") {
		t.Error(got)
	}
	one := growthText(t, series(leak.Listing{listing(1, "", "", 1, 64, 1, 2)}), Options{Width: 80, Top: -1})
	if !strings.HasPrefix(one, "One listing cannot show growth") || !strings.Contains(one, "nodes      %  bytes") {
		t.Error(one)
	}
}

func TestNothing(t *testing.T) {
	got := growthText(t, series(), Options{Width: 80, Top: -1})
	if !strings.Contains(got, "there is no listing") {
		t.Error(got)
	}
	got = write(t, func(w io.Writer) error { return JSON(w, &Document{Growth: series()}, Options{}) })
	if !json.Valid([]byte(got)) || !strings.Contains(got, `"notes":[]`) {
		t.Error(got)
	}
	got = write(t, func(w io.Writer) error { return DiffJSON(w, leak.Compare(nil, nil, sym), nil, Options{}) })
	if !json.Valid([]byte(got)) {
		t.Error(got)
	}
	got = write(t, func(w io.Writer) error { return NewNodesJSON(w, sym).Close(nil) })
	if !json.Valid([]byte(got)) {
		t.Error(got)
	}
}

// Arrows and operators stay readable.
func TestJSONIsNotForHTML(t *testing.T) {
	g := judged()
	g.Sites[0].Suppressed = "leak:a <- b && c"
	for name, f := range map[string]format{"json": JSON, "sarif": SARIF} {
		got := write(t, func(w io.Writer) error { return f(w, &Document{Growth: g}, Options{}) })
		if !strings.Contains(got, "leak:a <- b && c") || strings.Contains(got, `\u003c`) {
			t.Error(name)
		}
	}
}

func TestGrowthJSON(t *testing.T) {
	d := &Document{Growth: judged(), Findings: []heap.Finding{doubleFree()}, Symbols: sym, Notes: []string{"mine"}}
	text := write(t, func(w io.Writer) error { return JSON(w, d, Options{Top: -1}) })
	golden(t, "growth.json", text)
	var doc struct {
		Listings int
		Sites    []struct {
			Rank, Growth int
			Verdict      leak.Verdict
			Reason, Pool string
			Nodes        []*int
			Bytes        []*uint64
			Leaked       int      `json:"leaked_nodes"`
			LeakedBytes  *uint64  `json:"leaked_bytes"`
			NodesPerHour *float64 `json:"nodes_per_hour"`
			BytesPerHour *float64 `json:"bytes_per_hour"`
			P            float64
			Interesting  int
			Baseline     bool
			Suppressed   string
			Stack        []map[string]any
		}
		Pools []struct {
			Free       *uint64
			Exhaustion *float64 `json:"exhaustion_seconds"`
		}
		Findings []struct{ Kind heap.Kind }
		Partial  []int `json:"partial_listings"`
		Notes    []string
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err, text)
	}
	first, third := doc.Sites[0], doc.Sites[2]
	if doc.Listings != 7 || len(doc.Sites) != 9 || first.Rank != 1 || first.Verdict != leak.Confirmed || first.Leaked != 83 || *first.LeakedBytes != 83*80 ||
		*first.Bytes[2] != 49*80 || *first.Nodes[0] != 19 || *first.NodesPerHour != 4980 || *first.BytesPerHour != 398400 || first.P != 1e-9 || first.Interesting != 3 {
		t.Errorf("%+v", first)
	}
	if third.Pool != "exc" || third.Bytes != nil || third.LeakedBytes != nil || third.NodesPerHour != nil || third.Nodes[0] != nil || *third.Nodes[6] != 6 {
		t.Errorf("%+v", third)
	}
	if d := cmp.Diff(map[string]any{"addr": "0x2baa0", "function": "pkt_new", "file": "net/pkt.h", "line": 31.0, "inlined": true}, first.Stack[0]); d != "" {
		t.Error(d)
	}
	if doc.Sites[3].Suppressed == "" || !doc.Sites[4].Baseline || *doc.Pools[0].Free != 208<<10 || *doc.Pools[0].Exhaustion != 7980 || doc.Pools[1].Free != nil || doc.Pools[1].Exhaustion != nil {
		t.Error(text)
	}
	if len(doc.Findings) != 1 || doc.Findings[0].Kind != heap.DoubleFree || len(doc.Notes) != 3 || doc.Notes[2] != "mine" || len(doc.Partial) != 1 || doc.Partial[0] != 4 {
		t.Error(text)
	}
	g := judged()
	g.Sites[0].P = math.NaN()
	g.Sites[0].BytesPerHour = math.Inf(1)
	if text := write(t, func(w io.Writer) error { return JSON(w, &Document{Growth: g}, Options{}) }); !json.Valid([]byte(text)) {
		t.Error(text)
	}
}

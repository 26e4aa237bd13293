package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// lostGrowth is a single dump of which something is lost.
func lostGrowth(gaps string) *leak.Growth {
	frames := func(names ...string) (all []heap.Frame) {
		for i, n := range names {
			all = append(all, heap.Frame{Addr: heap.Addr(0x1000 + 16*i), Function: n, File: "/build/src/" + n + ".c", Line: 10 + i})
		}
		return all
	}
	u := &leak.Unreferenced{
		Gaps: gaps, Used: leak.Amount{Nodes: 100, Bytes: 9000}, Direct: leak.Amount{Nodes: 43, Bytes: 3440}, Indirect: leak.Amount{Nodes: 82, Bytes: 9000},
		Sites: []*leak.LostSite{
			{
				Verdict: leak.Confirmed, Frames: frames("malloc", "log_dup", "log_line"), Used: leak.Amount{Nodes: 41, Bytes: 3280},
				Direct: leak.Amount{Nodes: 41, Bytes: 3280}, Through: leak.Amount{Nodes: 82, Bytes: 9000},
				Heads: []leak.LostHead{{Addr: 0x2b94c, Bytes: 80, Through: leak.Amount{Nodes: 2, Bytes: 200}}, {Addr: 0x2b99c, Bytes: 80}, {Addr: 0x2ba00, Bytes: 80}, {Addr: 0x2bb00, Bytes: 80}},
			},
			{
				Verdict: leak.Suspect, Pool: "exc", Frames: frames("a_function_with_a_name_that_leaves_no_room_beside_it", "main"), Used: leak.Amount{Nodes: 9, Bytes: 720},
				Direct: leak.Amount{Nodes: 2, Bytes: 160}, Heads: []leak.LostHead{{Addr: 0x3b94c, Bytes: 80}, {Addr: 0x3b99c, Bytes: 80}},
			},
			{Verdict: leak.Inconclusive, Frames: frames("log_text"), Used: leak.Amount{Nodes: 82, Bytes: 9000}, Indirect: leak.Amount{Nodes: 82, Bytes: 9000}},
		},
	}
	g := &leak.Growth{
		Listings: [][]leak.Info{{{Label: "listing 1", Source: "ram.bin", Nodes: 100}}}, Unreferenced: u,
		Sites: []leak.Site{{Frames: u.Sites[0].Frames, Verdict: leak.Confirmed, Reason: "no pointer leads to 41 of its 41 nodes", Lost: u.Sites[0], Counts: []leak.Count{{Listing: 1, Nodes: 41}}}},
	}
	return g
}

func TestLost(t *testing.T) {
	for name, c := range map[string]struct {
		g *leak.Growth
		o Options
	}{
		"lost":         {lostGrowth(""), Options{Width: 80, Height: 24, Top: -1}},
		"lost-gaps":    {lostGrowth("64 of 128 bytes of the program's data are not in the memory"), Options{Width: 80, Height: 24, Top: -1, ASCII: true}},
		"lost-verbose": {lostGrowth(""), Options{Top: 0, Verbose: true, Roots: []string{"/build"}}},
	} {
		var b strings.Builder
		if err := Text(&b, &Document{Growth: c.g}, c.o); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.String())
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); c.o.Width > 0 && n > c.o.Width && !strings.Contains(line, "no_room") { // names are not broken
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
	var b strings.Builder
	if err := JSON(&b, &Document{Growth: lostGrowth("")}, Options{Top: 2}); err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(b.String())) || strings.Count(b.String(), `"heads":`) != 2 {
		t.Error(b.String())
	}
}

// What cannot be told is said in a note, that nothing is lost in a sentence.
func TestNothingLost(t *testing.T) {
	for want, u := range map[string]*leak.Unreferenced{
		"note: unreferenced nodes: no roots":                              {Why: "no roots"},
		"Unreferenced: nothing; pointers lead to all 7 used nodes.":       {Used: leak.Amount{Nodes: 7}, Gaps: "gaps do not matter"},
		"Unreferenced: no pointer leads to 1 node of 16 B. But gaps here": {Used: leak.Amount{Nodes: 7}, Direct: leak.Amount{Nodes: 1, Bytes: 16}, Gaps: "gaps here"},
	} {
		var b strings.Builder
		g := &leak.Growth{Listings: [][]leak.Info{{{Label: "listing 1"}}}, Unreferenced: u}
		if err := Text(&b, &Document{Growth: g}, Options{Top: -1}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %q", b.String(), want)
		}
	}
}

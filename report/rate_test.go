package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/leak"
)

func TestNumber(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0.0", 1e-9: "0.000000", .00417: "0.0042", .0417: "0.042", .09: "0.090", .0999: "0.1", .1: "0.1", 9.94: "9.9", 10.2: "10", 2e6: "2.0M",
	} {
		if got := number(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}

// Listings whose counts were dropped are unknown, not empty.
func TestUncounted(t *testing.T) {
	g := &leak.Growth{Pools: []leak.Window{{First: 1, Last: 5, Complete: 5}}, Notes: []string{"counts were dropped"}}
	for i := range 5 {
		g.Listings = append(g.Listings, []leak.Info{{Uncounted: i == 1 || i == 3}})
	}
	s := leak.Site{Counts: []leak.Count{{Listing: 1, Nodes: 1}, {Listing: 3, Nodes: 3}}}
	g.Sites = []leak.Site{s}
	var nodes []string
	newView(g).each(&s, func(_ listed, c *leak.Count) {
		if c == nil {
			nodes = append(nodes, "null")
		} else {
			nodes = append(nodes, fmt.Sprint(c.Nodes))
		}
	})
	if d := cmp.Diff("1 null 3 null 0", strings.Join(nodes, " ")); d != "" {
		t.Error(d)
	}
	var b strings.Builder
	tx := newText(&b, Options{ASCII: true})
	if d := cmp.Diff("::##_", tx.sparkline(newView(g), &s)); d != "" {
		t.Error(d)
	}
	if notes := growthNotes(g); len(notes) != 1 || notes[0] != g.Notes[0] {
		t.Error(notes)
	}
}

// Notes about pools are few, however many pools there are.
func TestManyPools(t *testing.T) {
	g := &leak.Growth{Listings: make([][]leak.Info, 9)}
	for i := range 1000 {
		name := fmt.Sprint("heap", i)
		g.Pools = append(g.Pools, leak.Window{Pool: name, First: 2, Last: 8, Shown: 2, Complete: 2 * (i % 2)})
		g.Listings[1] = append(g.Listings[1], leak.Info{Pool: name, Partial: "cut"})
	}
	if n := len(growthNotes(g)); n != 3*(mostNotes+1) {
		t.Errorf("%d notes", n)
	}
}

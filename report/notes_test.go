package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/leak"
)

// Notes number listings as the log does, whatever was left out in front.
func TestNotesNumberListingsOfTheLog(t *testing.T) {
	g := &leak.Growth{
		Skipped: 4,
		Listings: [][]leak.Info{
			{{Source: "a.log:10", Partial: "cut after 2 nodes"}},
			{{Source: "a.log:20"}},
			{{Source: "a.log:30"}},
		},
		Pools: []leak.Window{{First: 2, Last: 3, Shown: 3, Complete: 2}},
	}
	want := []string{
		"listing 5 is partial (a.log:10): cut after 2 nodes; it is not compared",
		"growth is from listing 6 to listing 7",
	}
	if d := cmp.Diff(want, growthNotes(g)); d != "" {
		t.Error(d)
	}
}

package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// What certainly leaks is accepted even where the listings cannot tell about
// everything; where they can tell about nothing, nothing is.
func TestAcceptWithDoubts(t *testing.T) {
	site := func(name string, v leak.Verdict) leak.Site {
		return leak.Site{Frames: []heap.Frame{{Addr: 4, Function: name}}, Verdict: v}
	}
	for _, c := range []struct {
		sites []leak.Site
		code  int
		want  string
	}{
		{[]leak.Site{site("f", leak.Confirmed), site("g", leak.Inconclusive)}, 0, `"f"`},
		{[]leak.Site{site("g", leak.Inconclusive)}, exitInconclusive, ""},
		{[]leak.Site{site("g", leak.Stable)}, 0, "heapwright_baseline"},
	} {
		growth := &leak.Growth{
			Listings: make([][]leak.Info, 4), Sites: c.sites,
			Pools: []leak.Window{{First: 1, Last: 4, Shown: 4, Complete: 4}},
		}
		path := filepath.Join(t.TempDir(), "known.json")
		var out strings.Builder
		cmd := &cobra.Command{}
		cmd.SetErr(&out)
		err := (&gate{write: path}).accept(cmd, &input{symbols: "x.elf"}, growth)
		var code exitError
		if errors.As(err, &code); code.code != c.code {
			t.Errorf("%v: %v", c.sites, err)
		}
		if c.want == "" {
			onlyFiles(t, filepath.Dir(path))
		} else if text := read(t, path); !strings.Contains(text, c.want) || strings.Contains(text, `"g"`) {
			t.Errorf("%v: %s", c.sites, text)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// terminalFile returns a terminal, if the system has one to give.
func terminalFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestProfileIsNotForTerminals(t *testing.T) {
	root := newRoot()
	root.SetOut(terminalFile(t))
	root.SetErr(io.Discard)
	root.SetArgs([]string{"leaks", "../../console/testdata/leak-series.log", "--format", "pprof"})
	if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "go tool pprof") {
		t.Error(err)
	}
	root.SetArgs([]string{"leaks", "../../console/testdata/leak-series.log", "--format", "pprof", "-o", t.TempDir() + "/heap.pb.gz"})
	var code exitError
	if err := root.Execute(); err != nil && (!errors.As(err, &code) || code.code == exitInput) {
		t.Error(err)
	}
}

func TestUnicodeWelcome(t *testing.T) {
	terminal := terminalFile(t)
	for _, c := range []struct {
		all, lang, term string
		shown           bool
		want            bool
	}{
		{"", "en_US.UTF-8", "xterm", true, true},
		{"", "de_DE.utf8", "xterm", true, true},
		{"C", "en_US.UTF-8", "xterm", true, false},
		{"", "en_US.UTF-8", "linux", true, false},
		{"", "en_US.UTF-8", "dumb", true, false},
		{"", "C", "", false, false},
		{"", "", "", false, true},
		{"", "en_US.ISO-8859-1", "", false, false},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_CTYPE", "")
		t.Setenv("LANG", c.lang)
		t.Setenv("TERM", c.term)
		var w io.Writer = new(strings.Builder)
		if c.shown {
			w = terminal
		}
		if got := unicodeWelcome(w); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestLastComplete(t *testing.T) {
	c := lastComplete{}
	for i, s := range []heap.Snapshot{
		{Pool: "b", Partial: "cut"}, {Pool: "a"}, {Pool: "b", Partial: "cut"}, {Pool: "a"}, {Pool: "a", Partial: "cut"},
	} {
		s.Label = fmt.Sprint(i)
		c.add(leak.Listing{&s})
	}
	var got []string
	for _, s := range c.listing() {
		got = append(got, s.Pool+s.Label)
	}
	if d := cmp.Diff([]string{"a3", "b2"}, got); d != "" {
		t.Error(d)
	}
}

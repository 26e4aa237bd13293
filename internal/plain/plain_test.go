package plain

import (
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{"main.f": "main.f", "a\x1b[31mb\n": "a?[31mb?", "größe": "größe", "\xff": "?", "a\u202eb\u2066\u200e\u2028": "a?b???"} {
		if got := Clean(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 nodes", 1: "1 node", 2: "2 nodes"} {
		if got := Plural(n, "node"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		s                     string
		width, column, indent int
		want                  string
	}{
		{"give the log file in it", 12, 0, 0, "give the log\nfile in it"},
		{"give the log file in it", 12, 0, 2, "give the log\n  file in it"},
		{"give the log file in it", 12, 5, 2, "give\n  the log\n  file in it"},
		{"give the log file in it", 0, 5, 2, "give the log file in it"},
		{"a path/too/long/to/break b", 8, 0, 0, "a\npath/too/long/to/break\nb"},
		{"größer größer", 13, 0, 0, "größer größer"},
		{"größer größer", 12, 0, 0, "größer\ngrößer"},
		{"  several   blanks ", 80, 0, 4, "several blanks"},
		{"", 5, 0, 2, ""},
	} {
		if got := Wrap(c.s, c.width, c.column, c.indent); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.s, c.width, got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-time.Second: "0.0s", 5200 * time.Millisecond: "5.2s", 10 * time.Second: "10s", 65 * time.Second: "1m05s",
		65 * time.Minute: "1h05m", 79 * time.Hour: "3d07h",
	} {
		if got := Duration(in); got != want {
			t.Errorf("%d: %q, want %q", in, got, want)
		}
	}
}

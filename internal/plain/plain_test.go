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

package plain

import "testing"

func TestClean(t *testing.T) {
	for in, want := range map[string]string{"main.f": "main.f", "a\x1b[31mb\n": "a?[31mb?", "größe": "größe", "\xff": "?"} {
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

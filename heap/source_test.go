package heap

import "testing"

func TestSplitSource(t *testing.T) {
	for _, c := range []struct {
		source, file string
		line         int
	}{
		{"console.log:81", "console.log", 81},
		{`C:\logs\a.log:7`, `C:\logs\a.log`, 7},
		{"a:1:2", "a:1", 2},
		{"stdin:3", Stdin, 3},
		{"pool cache", "", 0},
		{"C:x", "", 0},
		{"a.log:0", "", 0},
		{"a.log:-1", "", 0},
		{"a.log:", "", 0},
		{":5", "", 0},
		{"", "", 0},
	} {
		file, line, ok := SplitSource(c.source)
		if file != c.file || line != c.line || ok != (c.line > 0) {
			t.Errorf("%q: %q, %d, %v", c.source, file, line, ok)
		}
	}
}

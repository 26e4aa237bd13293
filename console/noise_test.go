package console

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// noiseOf returns what looks like a console captured at the wrong baud rate.
func noiseOf(n int) string {
	rng := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return string(b)
}

// What is no text is said: as an error if there is nothing else, and otherwise
// as a note.
func TestNoise(t *testing.T) {
	other := strings.Repeat("I (1234) wifi: connected\r\n", 1000)
	listing := header + row1 + row2 + end
	for _, c := range []struct {
		name, log  string
		kind, note string
	}{
		{name: "wrong baud rate", log: noiseOf(100_000), kind: FileBinary},
		{name: "wrong baud rate in one line", log: strings.ReplaceAll(noiseOf(100_000), "\n", "\x80"), kind: FileBinary},
		{name: "control characters only", log: strings.Repeat("\x00\x01\x02a", 99), kind: FileBinary},
		{name: "text", log: other},
		{name: "text in UTF-8", log: strings.Repeat("温度传感器 \u00b0C\r\n", 100)},
		{name: "colours, tabs and bells", log: strings.Repeat("\x1b[31m\tE\a\b\x1b[0m\r\n", 100)},
		{name: "a boot loader at another rate", log: noiseOf(1000) + other},
		{name: "much noise", log: noiseOf(5000) + other, note: "x.log: 8% of it is no UTF-8 text: a wrong baud rate, noise on the line, or another encoding"},
		{name: "a listing in noise", log: noiseOf(5000) + "\n" + listing + noiseOf(5000), note: "x.log: 52% of it is no UTF-8 text: a wrong baud rate, noise on the line, or another encoding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(strings.NewReader(c.log), "x.log")
			items, kind := 0, ""
			for _, err := range r.Items() {
				var none *NoListingError
				switch {
				case errors.As(err, &none):
					kind = none.Kind
					if !strings.Contains(err.Error(), "wrong baud rate") || !strings.Contains(err.Error(), "% of it is no text") {
						t.Error(err)
					}
				case err != nil:
					t.Error(err)
				default:
					items++
				}
			}
			if kind != c.kind || items != strings.Count(c.log, "LR[0]") {
				t.Errorf("%d items, kind %q", items, kind)
			}
			if notes := strings.Join(r.Notes(), "\n"); notes != c.note {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// Bytes are counted one by one wherever they stand.
func TestNoiseCount(t *testing.T) {
	for _, c := range []struct {
		text string
		odd  int
	}{
		{"", 0},
		{"plain text of some length, with ~ and }", 0},
		{"\x1f \x7f", 2},
		{"\x80", 1},
		{"é\xc3", 1},
		{"€\xe2\x82", 2},
		{"\ufffd", 0},
		{strings.Repeat("\xff", 17), 17},
	} {
		for pad := range 9 {
			var n noise
			n.see([]byte(strings.Repeat("x", pad) + c.text + "yyyyyyyy"))
			if int(n.odd) != c.odd {
				t.Errorf("%q behind %d: %d", c.text, pad, n.odd)
			}
		}
	}
}

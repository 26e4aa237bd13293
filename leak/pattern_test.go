package leak

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// frames makes a chain of function names; one that begins with 0x is an
// address without a name.
func frames(chain string) []heap.Frame {
	var all []heap.Frame
	for _, name := range strings.Split(chain, " <- ") {
		var f heap.Frame
		if err := f.Addr.UnmarshalText([]byte(name)); err != nil {
			f.Function = name
		}
		all = append(all, f)
	}
	return all
}

func TestPattern(t *testing.T) {
	const chain = "malloc <- log_dup <- log_line <- 0x2b94c"
	for _, c := range []struct {
		pattern, chain string
		want           bool
	}{
		{"malloc", chain, true},
		{"log_line", chain, true},
		{"log", chain, false},
		{"log_*", chain, true},
		{"*", chain, true},
		{"LOG_DUP", chain, false},
		{"log_du?", chain, true},
		{"log_dup?", chain, false},
		{"*og*li*", chain, true},
		{"0x2b94c", chain, true},
		{"0x2b*", chain, true},
		{"log_dup <- log_line", chain, true},
		{"log_dup<-log_line", chain, true},
		{"malloc <- log_line", chain, false},
		{"malloc <- * <- log_line", chain, true},
		{"log_line <- log_dup", chain, false},
		{"* <- * <- * <- *", chain, true},
		{"* <- * <- * <- * <- *", chain, false},
		{"log_line <- *", chain, true},
		{"0x2b94c <- *", chain, false},
		{"Buffer::grow(*", "Buffer::grow(unsigned int)", true},
		{"Buffer::grow(unsigned int)", "Buffer::grow(unsigned int)", true},
		{"Buffer::grow", "Buffer::grow(unsigned int)", true},
		{"Buffer::grow(unsigned int)", "Buffer::grow", true},
		{"Buffer::grow(*", "Buffer::grow", true},
		{"Buffer::grow(unsigned int) const", "Buffer::grow", true},
		{"Buffer::grow(unsigned int)", "Buffer::grow(char)", false},
		{"Buffer::grow(void (*)(int))", "Buffer::grow", true},
		{"Buffer::gro", "Buffer::grow(unsigned int)", false},
		{"f::operator()", "f::operator()(int) const", true},
		{"f::operator()(int)", "f::operator()", true},
		{"f::operator", "f::operator()", false},
		{"main", "main.(*cache).add", false},
		{"grow(int)", "grow(int) [clone .isra.0]", true},
		{"grow", "grow(int) [clone .isra.0] [clone .part.1]", true},
		{"grow", "grow [clone .constprop.0]", true},
		{"grow [clone *", "grow [clone .constprop.0]", true},
		{"(*", "grow", false},
		{"main.(*cache).add", "main.(*cache).add", true},
		{"grow", "grow.isra.0", true},
		{"grow", "grow.constprop.12.part.3", true},
		{"grow.isra.*", "grow.isra.0", true},
		{"grow", "grow.0", false},
		{"gr?ß?", "größe", true},
		{"gr??ß?", "größe", false},
		{"?", "\xff", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p.Match(frames(c.chain)); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.chain, got)
		}
		again, err := ParsePattern(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is read back as %q: %v", p, again, err)
		}
	}
	if (Pattern{}).Match(frames(chain)) || (Pattern{}).Match(nil) {
		t.Error("the zero pattern matches")
	}
}

func TestPatternErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                        "empty: write a function's name",
		" \t":                     "not text",
		"  ":                      "empty",
		"<- f":                    "lacks a function beside <-",
		"f <-":                    "lacks a function beside <-",
		"f <- <- g":               "lacks a function beside <-",
		"f\x1b[2J":                "not text",
		"f\xff":                   "not text",
		strings.Repeat("x", 1025): "at most 1024",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", pattern, err)
		}
	}
}

// What a backtracking matcher takes ages for.
func TestGlobIsNotExponential(t *testing.T) {
	glob := strings.Repeat("*a", 500) + "b"
	if matchGlob(glob, strings.Repeat("a", 100_000)) {
		t.Error("matches")
	}
	if !matchGlob(glob, strings.Repeat("a", 100_000)+"b") {
		t.Error("does not match")
	}
}

// A glob means the same as the regular expression it stands for.
func TestGlobAgreesWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[ab*?ß]{0,8}`).Draw(t, "glob")
		name := rapid.StringMatching(`[abß]{0,10}`).Draw(t, "name")
		expr := strings.NewReplacer("*", ".*", "?", ".").Replace(glob)
		if want := regexp.MustCompile("^" + expr + "$").MatchString(name); matchGlob(glob, name) != want {
			t.Fatalf("want %v", want)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("malloc <- * <- log_*", "malloc", "log_dup.isra.0")
	f.Add("*a*a*a?b", "aaaaaaaaaaaaaaaaa", "\xff")
	f.Fuzz(func(t *testing.T, text, inner, outer string) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		chain := []heap.Frame{{Function: inner}, {Function: outer}}
		got := p.Match(chain)
		again, err := ParsePattern(p.String())
		if err != nil || again.Match(chain) != got {
			t.Errorf("%q read back as %q: %v", p, again, err)
		}
	})
}

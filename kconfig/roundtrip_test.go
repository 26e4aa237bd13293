package kconfig

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A configuration that was written and read is written the same again, and so is
// what its minimal form leads to.
func TestRoundTrip(t *testing.T) {
	for i := range 300 {
		g := &generator{r: rand.New(rand.NewPCG(4, uint64(i)))}
		menu := g.menu()
		tree, err := parseText(t, menu)
		if err != nil {
			continue
		}
		load := func(config string) {
			t.Helper()
			if _, err := tree.Load(strings.NewReader(config), "x"); err != nil {
				t.Fatal(err)
			}
		}
		text := func(write func(*strings.Builder) error) string {
			t.Helper()
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		whole := func(b *strings.Builder) error { return tree.Write(b, "") }
		load(g.assignments())
		all := text(whole)
		least := text(func(b *strings.Builder) error { return tree.WriteMinimal(b, "") })
		for _, again := range []string{all, least} {
			load(again)
			if d := cmp.Diff(all, text(whole)); d != "" {
				t.Fatalf("-first +again\n%s\n%s\n%s", d, menu, again)
			}
		}
	}
}

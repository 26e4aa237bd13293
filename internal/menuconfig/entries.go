package menuconfig

import (
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/kconfig"
)

// entry is a line of a menu.
type entry struct {
	node   *kconfig.Node
	indent int
	enters bool // there is a menu behind it
}

// entries returns the lines of the open menu.
func (m *model) entries() (list []entry) {
	m.collect(m.level().node, 0, &list)
	return list
}

func (m *model) collect(n *kconfig.Node, indent int, list *[]entry) {
	for c := n.Child; c != nil; c = c.Next {
		shown := c.Prompt != "" && (c.Visible() || m.hidden)
		below := indent
		if shown {
			e := entry{node: c, indent: indent}
			switch {
			case c.Menu, c.Choice != nil:
				e.enters = true
			case c.MenuConfig:
				e.enters = c.Child != nil && c.Symbol.Bool()
			}
			*list = append(*list, e)
			below++
		}
		if c.Symbol != nil && !c.MenuConfig {
			m.collect(c, below, list) // what depends on it follows it
		}
	}
}

// text is an entry as it is shown.
func (e entry) text() string {
	n := e.node
	var left, right string
	switch s := n.Symbol; {
	case n.Note:
		return strings.Repeat("  ", e.indent) + "    *** " + n.Prompt + " ***"
	case n.Choice != nil:
		right = " (nothing)"
		if c := n.Choice.Selected(); c != nil {
			right = " (" + c.Nodes[0].Prompt + ")"
		}
	case s == nil:
	case s.Type() != kconfig.Bool:
		left = "(" + s.Value() + ")"
	case s.Choice() != nil:
		left = "( )"
		if s.Bool() {
			left = "(X)"
		}
	case s.Bool() && s.Forced():
		left = "-*-"
	case s.Bool():
		left = "[*]"
	default:
		left = "[ ]"
	}
	if n.Symbol != nil && !n.Visible() {
		left = strings.NewReplacer("[", " ", "]", " ", "(", " ", ")", " ").Replace(left)
	}
	if e.enters {
		right += "  --->"
	}
	return strings.Repeat("  ", e.indent) + fmt.Sprintf("%-3s ", left) + n.Prompt + right
}

// about is all there is to say about a node.
func about(n *kconfig.Node) string {
	var b strings.Builder
	say := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, text)
		}
	}
	say("Prompt", n.Prompt)
	if s := n.Symbol; s != nil {
		say("Symbol", s.Name+", "+s.Type().String())
		say("Value", s.Value())
		if low, high, ok := s.Limits(); ok {
			say("Range", low+" to "+high)
		}
		if d := s.Dependencies(); d != "y" {
			say("Depends on", d)
		}
		if why := s.Missing(); why != "" {
			say("Cannot be set", why)
		} else if s.Type() == kconfig.Bool && s.Bool() && s.Forced() {
			say("Cannot be n", s.Forcing())
		}
		b.WriteString("\n")
		if s.Help() == "" {
			b.WriteString("There is no help.\n")
		}
		b.WriteString(s.Help())
	} else {
		b.WriteString("\n" + n.Help)
	}
	fmt.Fprintf(&b, "\n\nDefined at %s:%d", n.File, n.Line)
	return b.String()
}

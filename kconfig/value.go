package kconfig

import (
	"fmt"
	"math/big"
)

// Value returns the symbol's value: y or n, a number as it was written, or a
// text.
func (s *Symbol) Value() string {
	if len(s.Nodes) == 0 {
		return s.Name // a literal, or not defined, which is the same
	}
	if s.age != s.tree.age {
		s.compute()
	}
	return s.value
}

// Bool reports whether the symbol is a bool and y.
func (s *Symbol) Bool() bool { return s.typ == Bool && s.Value() == "y" }

func (s *Symbol) holds() bool { return s.Bool() }

// Visible reports whether the user can set the symbol: one of its prompts is
// shown.
func (s *Symbol) Visible() bool {
	for _, n := range s.Nodes {
		if n.Visible() {
			return true
		}
	}
	return false
}

// Written reports whether the symbol belongs into a configuration.
func (s *Symbol) Written() bool {
	s.Value()
	return s.write
}

// Given returns what the user set the symbol to, whether or not that has an
// effect.
func (s *Symbol) Given() (value string, ok bool) {
	if s.given == nil {
		return "", false
	}
	return *s.given, true
}

// Limits returns the range that holds for a number now.
func (s *Symbol) Limits() (low, high string, ok bool) {
	for _, l := range s.ranges {
		if l.when.holds() {
			return l.low.Value(), l.high.Value(), true
		}
	}
	return "", "", false
}

// Dependencies returns the symbol's dependencies as one condition.
func (s *Symbol) Dependencies() string { return text(s.direct) }

// Help returns the first help text that there is.
func (s *Symbol) Help() string {
	for _, n := range s.Nodes {
		if n.Help != "" {
			return n.Help
		}
	}
	return ""
}

// Forced reports whether another symbol selects this one, so that it is y.
func (s *Symbol) Forced() bool { return s.choice == nil && s.selected.holds() }

// Forcing says which symbols select this one.
func (s *Symbol) Forcing() string { return s.selectors() }

// Choice returns the choice that the symbol is a member of; nil: none.
func (s *Symbol) Choice() *Choice { return s.choice }

// number returns the value as a number: that of a bool is 0 or 2.
func (s *Symbol) number() (*big.Int, bool) {
	if s.typ == Bool {
		if s.Value() == "y" {
			return big.NewInt(2), true
		}
		return new(big.Int), true
	}
	return number(s.Value(), s.typ.base())
}

func (s *Symbol) compute() {
	visible := s.Visible()
	s.write = visible
	switch s.typ {
	case Bool:
		s.value = "n"
		if s.bool(visible) {
			s.value = "y"
		}
	case String:
		if visible && s.given != nil {
			s.value = *s.given
			break
		}
		s.value, _ = s.byDefault()
	default:
		s.value = s.numeric(visible)
	}
	s.age = s.tree.age
}

func (s *Symbol) bool(visible bool) (v bool) {
	if s.choice != nil {
		return visible && s.choice.Selected() == s
	}
	if visible && s.given != nil {
		v = *s.given == "y"
	} else {
		for _, d := range s.defaults {
			if d.when.holds() {
				v = d.value.holds()
				break
			}
		}
		s.write = s.write || v
	}
	if s.selected.holds() {
		v, s.write = true, true
	}
	return v
}

// byDefault returns the first default whose condition holds.
func (s *Symbol) byDefault() (value string, ok bool) {
	for _, d := range s.defaults {
		if d.when.holds() {
			s.write = true
			return literal(d.value), true
		}
	}
	return "", false
}

// literal is the value of an expression that is a single symbol.
func literal(e expr) string {
	if v, ok := e.(*Symbol); ok {
		return v.Value()
	}
	return text(e)
}

func (s *Symbol) numeric(visible bool) string {
	base := s.typ.base()
	var low, high *big.Int
	for _, l := range s.ranges {
		if l.when.holds() {
			low, high = orZero(l.low.Value(), base), orZero(l.high.Value(), base)
			break
		}
	}
	if visible && s.given != nil && *s.given != "" {
		v := orZero(*s.given, base)
		if low == nil || low.Cmp(v) <= 0 && v.Cmp(high) <= 0 {
			return *s.given
		}
	}
	value, _ := s.byDefault()
	if low == nil {
		return value
	}
	v := orZero(value, base)
	switch {
	case v.Cmp(low) < 0:
		return s.typ.format(low)
	case v.Cmp(high) > 0:
		return s.typ.format(high)
	}
	return value
}

// orZero is what strtoll makes of a text.
func orZero(s string, base int) *big.Int {
	if v, ok := number(s, base); ok {
		return v
	}
	return new(big.Int)
}

func (t Type) format(v *big.Int) string {
	if t == Hex {
		return fmt.Sprintf("%#x", v)
	}
	return v.String()
}

// Visible reports whether the choice is shown.
func (c *Choice) Visible() bool { return c.Node.Visible() }

func (c *Choice) holds() bool { return c.Visible() }

// Selected returns the member that is y; nil: none can be.
func (c *Choice) Selected() *Symbol {
	if c.age != c.tree.age {
		c.selected = nil
		switch {
		case !c.Visible():
		case c.given != nil && c.given.Visible():
			c.selected = c.given
		default:
			c.selected = c.usual()
		}
		c.age = c.tree.age
	}
	return c.selected
}

// usual returns the member that is y unless the user says otherwise.
func (c *Choice) usual() *Symbol {
	for _, d := range c.defaults {
		if s := d.value.(*Symbol); d.when.holds() && s.Visible() {
			return s
		}
	}
	for _, s := range c.Members {
		if s.Visible() {
			return s
		}
	}
	return nil
}

// changed makes all values be computed anew.
func (t *Tree) changed() { t.age++ }

package kconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Set gives a symbol a value, as the user does in the menu. It is refused, with
// the reason, if it would have no effect.
func (t *Tree) Set(name, value string) error {
	s := t.Lookup(name)
	if s == nil {
		return fmt.Errorf("there is no symbol %s in the menu", name)
	}
	if why := s.malformed(value); why != "" {
		return fmt.Errorf("%s", why)
	}
	before := s.given
	var chosen *Symbol
	if s.choice != nil {
		chosen = s.choice.given
	}
	s.give(value)
	t.changed()
	if why := s.overruled(); why != "" {
		s.given = before
		if s.choice != nil {
			s.choice.given = chosen
		}
		t.changed()
		return fmt.Errorf("%s", why)
	}
	return nil
}

// Unset forgets what the user set a symbol to.
func (t *Tree) Unset(name string) {
	if s := t.Lookup(name); s != nil {
		s.given = nil
		if s.choice != nil && s.choice.given == s {
			s.choice.given = nil
		}
		t.changed()
	}
}

// overruled says why a symbol does not have the value that the user gave it; "":
// it has.
func (s *Symbol) overruled() string {
	if s.given == nil || s.Value() == *s.given {
		return ""
	}
	want := *s.given
	if s.Visible() {
		switch {
		case s.typ == Bool && s.choice != nil && want == "n":
			return fmt.Sprintf("%s is chosen in %s: choose another one there", s.Name, s.choice.title())
		case s.typ == Bool && s.choice != nil && s.choice.Selected() == nil:
			return fmt.Sprintf("%s cannot be y: %s is not shown", s.Name, s.choice.title())
		case s.typ == Bool && s.choice != nil:
			return fmt.Sprintf("%s is not chosen: %s is, which was set later", s.Name, s.choice.Selected().Name)
		case s.typ == Bool:
			return fmt.Sprintf("%s cannot be n: %s", s.Name, s.selectors())
		}
		if low, high, ok := s.Limits(); ok {
			return fmt.Sprintf("%s=%s is out of its range, %s to %s", s.Name, want, low, high)
		}
		return fmt.Sprintf("%s has the value %s", s.Name, s.Value())
	}
	if s.typ == Bool && want == "n" {
		return fmt.Sprintf("%s cannot be n: %s", s.Name, s.selectors())
	}
	if why := s.Missing(); why != "" {
		return why
	}
	return fmt.Sprintf("%s has no prompt: it cannot be set, it follows from other symbols", s.Name)
}

// selectors says which symbols force s to be y.
func (s *Symbol) selectors() string {
	var names []string
	operands(s.selected, func(e expr) {
		if v, ok := e.(*Symbol); ok && v.Bool() && slices.ContainsFunc(v.selects, func(c choiceOf) bool { return c.value == s && c.when.holds() }) &&
			!slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	})
	if len(names) == 0 {
		return "it is y by default and has no prompt that is visible"
	}
	verb := " selects it"
	if len(names) > 1 {
		verb = " select it"
	}
	return strings.Join(names, ", ") + verb
}

// Missing says which dependencies keep a symbol from being set, each with what
// it lacks in turn: "A needs B, which needs C". It is empty if none does.
func (s *Symbol) Missing() string {
	if s.Visible() {
		return ""
	}
	lacks := lacking(s)
	if len(lacks) == 0 {
		return ""
	}
	// What another one lacks in turn is named there.
	lacks = lacks[:min(len(lacks), maxChain)]
	var below []map[expr]bool
	for _, l := range lacks {
		m := map[expr]bool{}
		behind(l, m)
		below = append(below, m)
	}
	seen := map[expr]bool{s: true}
	var chains []string
	for i, l := range lacks {
		named := slices.ContainsFunc(below, func(m map[expr]bool) bool { return m[l] && !below[i][l] })
		if named {
			continue
		}
		if c := chain(l, seen); c != "" {
			chains = append(chains, c)
		}
	}
	return s.Name + " needs " + strings.Join(chains, ", and ")
}

// maxChain bounds how many symbols a chain of what is missing names.
const maxChain = 64

// behind collects what e lacks, and what that lacks.
func behind(e expr, all map[expr]bool) {
	for _, l := range lacking(e) {
		if !all[l] && len(all) < maxChain {
			all[l] = true
			behind(l, all)
		}
	}
}

// lacking returns what keeps e from being set.
func lacking(e expr) (list []expr) {
	var nodes []*Node
	switch e := e.(type) {
	case *Symbol:
		if e.Visible() {
			return nil
		}
		nodes = e.Nodes
	case *Choice:
		nodes = []*Node{e.Node}
	}
	for _, n := range nodes {
		if n.prompted != nil {
			return unmet(n.prompted) // the first prompt is the one people know
		}
	}
	return nil
}

// chain names what is missing and what that lacks in turn; "" if it has been
// named.
func chain(e expr, seen map[expr]bool) string {
	if seen[e] || len(seen) > maxChain {
		return ""
	}
	seen[e] = true
	name := text(e)
	if len(seen) > maxChain {
		return name + ", and so on"
	}
	if s, ok := e.(*Symbol); ok && len(s.Nodes) == 0 {
		return name + ", which the menu does not have"
	}
	var chains []string
	for _, l := range lacking(e) {
		if c := chain(l, seen); c != "" {
			chains = append(chains, c)
		}
	}
	if len(chains) > 0 {
		return name + ", which needs " + strings.Join(chains, ", and ")
	}
	return name
}

// unmet returns the parts of a condition that do not hold and that it needs.
func unmet(e expr) []expr {
	if a, ok := e.(and); ok {
		return append(unmet(a.a), unmet(a.b)...)
	}
	if e.holds() {
		return nil
	}
	return []expr{e}
}

// Enable sets a bool to y together with the bools that it lacks, and those that
// the choice it is a member of lacks, as far as these can be set in turn. It
// returns their names. Whether the symbol is y then, its value tells.
func (t *Tree) Enable(name string) (brought []string) {
	s := t.Lookup(name)
	if s == nil || s.typ != Bool {
		return nil
	}
	// What has been tried is not tried again: of two that exclude each other,
	// each would bring the other back for ever.
	tried := map[expr]bool{s: true}
	var ready func(e expr)
	ready = func(e expr) {
		for again := true; again; {
			again = false
			for _, l := range lacking(e) {
				if tried[l] || len(tried) > 4*maxChain {
					continue
				}
				v, ok := l.(*Symbol)
				if _, choice := l.(*Choice); !choice && (!ok || v.typ != Bool) {
					continue
				}
				tried[l] = true
				ready(l)
				if ok {
					v.give("y")
					t.changed()
					if v.Bool() {
						brought = append(brought, v.Name)
					}
				}
				again = true // and see what is lacking now
				break
			}
		}
	}
	ready(s)
	s.give("y")
	t.changed()
	return brought
}

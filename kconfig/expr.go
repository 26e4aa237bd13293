package kconfig

import (
	"math/big"
	"strings"
)

// expr is a condition.
type expr interface{ holds() bool }

type (
	yes struct{}
	no  struct{}
	and struct{ a, b expr }
	or  struct{ a, b expr }
	not struct{ a expr }
	// relation compares two values.
	relation struct {
		op   string
		a, b *Symbol
	}
)

func (yes) holds() bool   { return true }
func (no) holds() bool    { return false }
func (e and) holds() bool { return e.a.holds() && e.b.holds() }
func (e or) holds() bool  { return e.a.holds() || e.b.holds() }
func (e not) holds() bool { return !e.a.holds() }

func (e relation) holds() bool {
	c := e.compare()
	switch e.op {
	case "=":
		return c == 0
	case "!=":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// compare compares as numbers where both are, else as text.
func (e relation) compare() int {
	if e.a.typ != String || e.b.typ != String {
		if x, ok := e.a.number(); ok {
			if y, ok := e.b.number(); ok {
				return x.Cmp(y)
			}
		}
	}
	return strings.Compare(e.a.Value(), e.b.Value())
}

// both is a && b, simplified where one of them is a literal.
func both(a, b expr) expr {
	switch {
	case a == (yes{}) || b == (no{}):
		return b
	case b == (yes{}) || a == (no{}):
		return a
	}
	return and{a, b}
}

// either is a || b, simplified where one of them is a literal.
func either(a, b expr) expr {
	switch {
	case a == (no{}) || b == (yes{}):
		return b
	case b == (no{}) || a == (yes{}):
		return a
	}
	return or{a, b}
}

// operands calls f for every symbol and choice in e, from left to right.
func operands(e expr, f func(expr)) {
	switch e := e.(type) {
	case nil, yes, no:
	case and:
		operands(e.a, f)
		operands(e.b, f)
	case or:
		operands(e.a, f)
		operands(e.b, f)
	case not:
		operands(e.a, f)
	case relation:
		f(e.a)
		f(e.b)
	default:
		f(e)
	}
}

// text writes e as one reads it.
func text(e expr) string {
	switch e := e.(type) {
	case and:
		return inner(e.a) + " && " + inner(e.b)
	case or:
		return inner(e.a) + " || " + inner(e.b)
	case not:
		return "!" + inner(e.a)
	case relation:
		return e.a.Name + " " + e.op + " " + e.b.Name
	case *Symbol:
		return e.Name
	case *Choice:
		return e.title()
	case no:
		return "n"
	}
	return "y"
}

func inner(e expr) string {
	switch e.(type) {
	case and, or:
		return "(" + text(e) + ")"
	}
	return text(e)
}

// number reads a number in base 10, 16 or, with its prefix, 0, as Kconfiglib
// does: blanks around it, a sign, and single underscores between digits are
// fine.
func number(s string, base int) (*big.Int, bool) {
	s = strings.TrimSpace(s)
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	prefix := ""
	if len(s) > 1 && s[0] == '0' {
		prefix = strings.ToLower(s[:2])
	}
	decimal := false
	switch {
	case prefix == "0x" && (base == 16 || base == 0):
		base, s = 16, strings.TrimPrefix(s[2:], "_")
	case prefix == "0b" && base == 0:
		base, s = 2, strings.TrimPrefix(s[2:], "_")
	case prefix == "0o" && base == 0:
		base, s = 8, strings.TrimPrefix(s[2:], "_")
	case base == 0:
		base, decimal = 10, true
	}
	if s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") || len(s) > maxDigits {
		return nil, false
	}
	digits := strings.ReplaceAll(s, "_", "")
	if digits[0] == '+' || digits[0] == '-' {
		return nil, false
	}
	if decimal && digits[0] == '0' && strings.Trim(digits, "0") != "" {
		return nil, false // would be octal elsewhere
	}
	n, ok := new(big.Int).SetString(digits, base)
	if ok && neg {
		n.Neg(n)
	}
	return n, ok
}

// maxDigits bounds the length of numbers.
const maxDigits = 1 << 10

package symbol

import (
	"strings"
	"sync"

	"github.com/ianlancetaylor/demangle"
)

const (
	// maxMangled bounds the names that are demangled, in bytes.
	maxMangled = 4 << 10
	// maxDemangled is the power of two that bounds what comes out, in bytes.
	maxDemangled = 12
	// longTemplate is the length in bytes from which on a name is shown
	// without its template arguments.
	longTemplate = 120
)

// readable makes of a C++ or Rust name, as the linker knows it, the name that
// people know. Parameters are left out: a file and line, or the class, tells
// overloads apart, and with parameters few names fit on a line. Template
// arguments stay while the name is short, since they tell vector<char> from
// vector<Node>. Every other name is returned as it is, and so is one that is
// damaged.
func readable(name string) string {
	if !mangled(name) {
		return name
	}
	s, err := expand(name, demangle.NoParams, demangle.MaxLength(maxDemangled))
	if err != nil {
		return name
	}
	if len(s) > longTemplate {
		if short, err := expand(name, demangle.NoParams, demangle.NoTemplateParams, demangle.MaxLength(maxDemangled)); err == nil && short != "" && len(short) < len(s) {
			return short
		}
	}
	return s
}

func mangled(name string) bool {
	return len(name) > 3 && len(name) <= maxMangled && name[0] == '_' &&
		(name[1] == 'Z' || name[1] == 'R' || strings.HasPrefix(name, "__Z") || strings.HasPrefix(name, "___Z"))
}

// expand is demangle.ToString that survives what makes it panic.
func expand(name string, options ...demangle.Option) (s string, err error) {
	defer func() {
		if recover() != nil {
			err = demangle.ErrNotMangledName
		}
	}()
	if strings.HasPrefix(name, "__Z") {
		name = name[1:] // with the underscore that some systems put in front
	}
	s, err = demangle.ToString(name, options...)
	if i := strings.IndexByte(name, '$'); err != nil && i > 0 {
		// Where an assembler takes no dots, variants are f$constprop$0.
		s, err = demangle.ToString(name[:i], options...)
	}
	return s, err
}

// withoutClone cuts what compilers append to the name of a function that they
// made a variant of: .constprop.0, .isra.0, .part.0, .cold, .lto_priv.0.
func withoutClone(name string) string {
	if i := strings.IndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}

// nameCache remembers readable names. There are as many as a file has mangled
// ones, at most.
type nameCache struct{ m sync.Map }

func (c *nameCache) readable(name string) string {
	if !mangled(name) {
		return name
	}
	if s, ok := c.m.Load(name); ok {
		return s.(string)
	}
	s := readable(name)
	c.m.Store(name, s)
	return s
}

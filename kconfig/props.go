package kconfig

import "strings"

// types are the keywords that give a type; def_ ones bring a default.
var types = map[string]Type{
	"bool": Bool, "boolean": Bool, "int": Int, "hex": Hex, "string": String,
	"def_bool": Bool, "def_int": Int, "def_hex": Hex, "def_string": String,
}

// properties reads what follows the first line of a statement.
func (p *parser) properties(n *Node) error {
	for {
		more, err := p.next()
		if err != nil || !more {
			return err
		}
		t := p.peek()
		known, err := false, error(nil)
		if t.kind == word {
			p.pos++
			known, err = p.property(n, t.text)
		}
		if err != nil {
			return err
		}
		if !known {
			p.pos, p.again = 0, true
			return nil
		}
		n.lines++
		n.weight += len(p.tokens)
		if t.text == "depends" || t.text == "prompt" || t.text == "bool" {
			n.passes += len(p.tokens)
		}
	}
}

// property reads one; false: the line is none.
func (p *parser) property(n *Node, name string) (known bool, err error) {
	typ, typed := types[name]
	switch {
	case typed:
		if err := p.typed(n, typ); err != nil {
			return true, err
		}
		if strings.HasPrefix(name, "def_") {
			return true, p.value(n)
		}
		if p.peek().kind == 0 {
			return true, nil
		}
		return true, p.prompt(n)
	case name == "prompt":
		return true, p.prompt(n)
	case name == "default":
		return true, p.value(n)
	case name == "range":
		return true, p.limits(n)
	case name == "select":
		return true, p.selects(n)
	case name == "depends":
		if !p.accept(word, "on") {
			return true, p.errorf(`"on" is missing behind depends`)
		}
		e, err := p.condition()
		n.dep = both(n.dep, e)
		return true, err
	case name == "help" || strings.Trim(name, "-") == "help":
		if err := p.end(); err != nil {
			return true, err
		}
		n.Help = p.help()
		return true, nil
	case unsupported[name] != "":
		return true, p.errorf("%s", unsupported[name])
	}
	return false, nil
}

func (p *parser) typed(n *Node, typ Type) error {
	var have *Type
	switch {
	case n.Symbol != nil:
		have = &n.Symbol.typ
	case n.Choice != nil && typ == Bool:
		have = &n.Choice.typ
	default:
		return p.errorf("%s does not belong here", typ)
	}
	if *have != Unknown && *have != typ {
		return p.errorf("%s is %s here and %s elsewhere", n.Symbol.Name, typ, *have)
	}
	*have = typ
	return nil
}

func (p *parser) prompt(n *Node) (err error) {
	if n.Symbol == nil && n.Choice == nil {
		return p.errorf("a menu or comment has its text behind the keyword, not as a prompt")
	}
	t := p.take()
	if t.kind != quote {
		return p.errorf("the prompt must stand in quotes")
	}
	n.Prompt = strings.TrimSpace(t.text)
	n.prompted, err = p.when()
	return err
}

// value reads a default.
func (p *parser) value(n *Node) error {
	if n.Symbol == nil && n.Choice == nil {
		return p.errorf("a menu or comment has no default")
	}
	v, err := p.expr()
	if err != nil {
		return err
	}
	when, err := p.when()
	n.defined.defaults = append(n.defined.defaults, choiceOf{v, when})
	return err
}

func (p *parser) limits(n *Node) (err error) {
	if n.Symbol == nil {
		return p.errorf("only a symbol has a range")
	}
	var l limits
	if l.low, err = p.operand(); err != nil {
		return err
	}
	if l.high, err = p.operand(); err != nil {
		return err
	}
	l.when, err = p.when()
	n.defined.ranges = append(n.defined.ranges, l)
	return err
}

func (p *parser) selects(n *Node) error {
	if n.Symbol == nil {
		return p.errorf("only a symbol selects")
	}
	t := p.take()
	if t.kind != word || literals[t.text] {
		return p.errorf("select what? The name of a symbol is missing")
	}
	when, err := p.when()
	n.defined.selects = append(n.defined.selects, choiceOf{p.symbol(t.text), when})
	return err
}

// when reads what may follow a property: if and a condition.
func (p *parser) when() (expr, error) {
	if !p.accept(word, "if") {
		return yes{}, p.end()
	}
	return p.condition()
}

// condition reads an expression and the end of the line.
func (p *parser) condition() (expr, error) {
	e, err := p.expr()
	if err != nil {
		return yes{}, err
	}
	return e, p.end()
}

func (p *parser) expr() (expr, error) {
	return p.chain("||", func() (expr, error) { return p.chain("&&", p.factor, func(a, b expr) expr { return and{a, b} }) },
		func(a, b expr) expr { return or{a, b} })
}

// chain reads what is joined by an operator.
func (p *parser) chain(operator string, part func() (expr, error), join func(a, b expr) expr) (expr, error) {
	e, err := part()
	for err == nil && p.accept(op, operator) {
		var more expr
		if more, err = part(); err == nil {
			e = join(e, more)
		}
	}
	return e, err
}

func (p *parser) factor() (expr, error) {
	if p.parens++; p.parens > maxParen {
		return nil, p.errorf("parentheses lie in each other more than %d deep", maxParen)
	}
	defer func() { p.parens-- }()
	switch {
	case p.accept(op, "!"):
		e, err := p.factor()
		return not{e}, err
	case p.accept(op, "("):
		e, err := p.expr()
		if err == nil && !p.accept(op, ")") {
			err = p.errorf("a closing parenthesis is missing")
		}
		return e, err
	}
	a, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch o := p.peek(); o.text {
	case "=", "!=", "<", "<=", ">", ">=":
		if o.kind != op {
			break
		}
		p.pos++
		b, err := p.operand()
		return relation{o.text, a, b}, err
	}
	if a.literal && a.typ == Bool {
		if a.Name == "y" {
			return yes{}, nil
		}
		return no{}, nil
	}
	return a, nil
}

// operand reads a symbol or a literal.
func (p *parser) operand() (*Symbol, error) {
	t := p.take()
	switch {
	case t.kind == quote || t.kind == word && t.text != "m" && literals[t.text]:
		s := &Symbol{Name: t.text, literal: true}
		if t.text == "y" || t.text == "n" {
			s.typ = Bool
		}
		return s, nil
	case t.kind == word && t.text == "m":
		return nil, p.errorf("m is not supported: there are no modules here")
	case t.kind == word && t.text != "if":
		return p.symbol(t.text), nil
	}
	return nil, p.errorf("a symbol or value is missing")
}

// help reads a help text: all lines that are indented as far as the first.
func (p *parser) help() string {
	for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) == "" {
		p.at++
	}
	indent := 0
	var lines []string
	for p.at < len(p.lines) {
		line := expandTabs(strings.TrimRight(p.lines[p.at], "\r\n"))
		rest := strings.TrimLeft(line, " ")
		deep := len(line) - len(rest)
		if len(lines) == 0 {
			indent = deep
		}
		if strings.TrimSpace(rest) == "" {
			line = strings.Repeat(" ", indent)
		} else if deep < indent || indent == 0 {
			break
		}
		lines = append(lines, strings.TrimRight(line[indent:], " "))
		p.at++
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n ")
}

// expandTabs replaces tabs by blanks up to the next column divisible by 8.
func expandTabs(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	col := 0
	for _, r := range s {
		if r == '\t' {
			n := 8 - col%8
			b.WriteString(strings.Repeat(" ", n))
			col += n
			continue
		}
		b.WriteRune(r)
		col++
	}
	return b.String()
}

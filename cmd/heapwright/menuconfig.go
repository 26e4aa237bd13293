package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapwright/heapwright/config"
	"github.com/heapwright/heapwright/internal/menuconfig"
	"github.com/heapwright/heapwright/kconfig"
)

// configFile is the configuration that verbs work on unless told otherwise, as
// everywhere that Kconfig is used.
const configFile = ".config"

// configuration is a menu, and the file with what was chosen in it.
type configuration struct {
	file    string
	kconfig string // the menu; empty: heapwright's own
	tree    *kconfig.Tree
	exists  bool
	// foreign counts, for each file that was read, the symbols that the menu
	// does not have; drop allows to lose them.
	foreign map[string]int
	drop    bool
}

func (c *configuration) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.file, "config", configFile, "the configuration `FILE`")
	cmd.Flags().StringVar(&c.kconfig, "kconfig", "", "menu to use in place of heapwright's own: a `FILE` in the Kconfig language")
}

// open reads the menu and, if there is one, the configuration. Remarks are what
// the configuration says without effect.
func (c *configuration) open() (remarks []kconfig.Problem, err error) {
	if c.tree, err = c.menu(); err != nil {
		return nil, err
	}
	remarks, err = c.load(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	c.exists = err == nil
	return remarks, err
}

func (c *configuration) menu() (*kconfig.Tree, error) {
	if c.kconfig == "" {
		return config.Menu(), nil
	}
	dir, name := filepath.Split(c.kconfig)
	if dir == "" {
		dir = "."
	}
	t, err := kconfig.Parse(os.DirFS(dir), name)
	if err != nil {
		return nil, fmt.Errorf("--kconfig: %w", err)
	}
	return t, nil
}

func (c *configuration) load(file string) ([]kconfig.Problem, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	problems, err := c.tree.Load(f, file)
	if c.foreign == nil {
		c.foreign = map[string]int{}
	}
	c.foreign[file] = 0
	for _, p := range problems {
		if p.Unknown {
			c.foreign[file]++
		}
	}
	return problems, err
}

func (c *configuration) save(file string) error {
	if file == "" {
		return errors.New("give the name of a file")
	}
	if n := c.foreign[file]; n > 0 && c.kconfig == "" && !c.drop {
		return fmt.Errorf("%s is not saved: it has %d symbols that heapwright's menu does not have, and they would be lost; name the firmware's own menu with --kconfig, or save to another file", file, n)
	}
	return replaceFile(file, func(w io.Writer) error { return c.tree.Write(w, config.Header) })
}

// problemTexts are sentences about problems. Symbols that the menu does not have
// are only counted: a device's configuration has hundreds about other things.
func problemTexts(problems []kconfig.Problem) (texts []string) {
	unknown, first := 0, ""
	for _, p := range problems {
		if p.Unknown {
			if unknown++; first == "" {
				first = p.Name
			}
			continue
		}
		texts = append(texts, p.Error())
	}
	if unknown > 0 {
		texts = append(texts, fmt.Sprintf("%d symbols are not in this menu and are left out, the first is %s", unknown, first))
	}
	return texts
}

// isTerminal reports whether something is read from, or written to, a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func newMenuconfig() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "menuconfig",
		Short: "Choose features of the pool, or of firmware, in a menu",
		Long: `Choose features in a menu, the one that LiteOS users know, as far as it is about
memory. What is chosen is saved to .config, which programs give to config.Load,
and which --config of the verbs that read dumps understands.

Arrows move, enter opens a menu, space changes a value, ? explains, / searches,
s saves, l loads, q quits. A terminal of 80 columns and 24 rows without colours
is enough, also over a serial line.

Exit codes: 0 left, 2 wrong usage or a file that cannot be read or written.`,
		Example: `  heapwright menuconfig
  heapwright menuconfig --config pool.config
  heapwright menuconfig --kconfig firmware/Kconfig --config firmware/.config`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			problems, err := c.open()
			if err != nil {
				return err
			}
			in, out := cmd.InOrStdin(), cmd.OutOrStdout()
			if !isTerminal(in) || !isTerminal(out) {
				return errors.New("menuconfig needs a terminal: in scripts use heapwright config set")
			}
			saved, err := menuconfig.Run(cmd.Context(), menuconfig.Session{
				Tree: c.tree, File: c.file, Remarks: problemTexts(problems),
				Save: c.save,
				Load: func(file string) ([]string, error) {
					p, err := c.load(file)
					return problemTexts(p), err
				},
			}, in, out)
			if err != nil {
				return err
			}
			if saved {
				fmt.Fprintf(out, "the configuration is saved\n")
			} else {
				fmt.Fprintf(out, "nothing was saved\n")
			}
			return nil
		},
	}
	c.flags(cmd)
	return cmd
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/kconfig"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Read, change and check configurations in scripts",
		Long: `Read, change and check configurations in scripts; menuconfig does it in a menu.

config default is known as make defconfig, config minimal as savedefconfig,
config update as olddefconfig.`,
		Example: `  heapwright config list
  heapwright config set LOSCFG_DEBUG_VERSION=y LOSCFG_MEM_DEBUG=y \
      LOSCFG_MEM_LEAKCHECK=y
  heapwright config explain device.config`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return unknownVerb(cmd, given[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigGet(), newConfigSet(), newConfigList(), newConfigCheck(), newConfigExplain(),
		newConfigDefault(), newConfigMinimal(), newConfigUpdate())
	return cmd
}

// opened opens the configuration and complains about what it says in vain.
func (c *configuration) opened(cmd *cobra.Command) error {
	problems, err := c.open()
	for _, s := range problemTexts(problems) {
		complain(cmd.ErrOrStderr(), "heapwright: warning: "+plain.Clean(s))
	}
	return err
}

func newConfigGet() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "get SYMBOL...",
		Short: "Print the values of symbols",
		Long: `Print the values of symbols, one a line: y or n, a number, or a text. Without a
configuration file they are the defaults.

Exit codes: 0 printed, 2 wrong usage, no such symbol, or unreadable file.`,
		Example: `  heapwright config get LOSCFG_MEM_LEAKCHECK
  heapwright config get LOS_OMIT_LR_CNT LOS_RECORD_LR_CNT --config pool.config
  heapwright config get LOSCFG_SHELL --kconfig firmware/Kconfig`,
		Args: args(1, 0, "at least one SYMBOL"),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := c.opened(cmd); err != nil {
				return err
			}
			for _, name := range names {
				s := c.tree.Lookup(name)
				if s == nil {
					return usageError(cmd, c.noSymbol(name))
				}
				fmt.Fprintln(cmd.OutOrStdout(), s.Value())
			}
			return nil
		},
	}
	c.flags(cmd)
	return cmd
}

// noSymbol complains about a name, with one that may have been meant.
func (c *configuration) noSymbol(name string) error {
	for _, s := range c.tree.Symbols {
		if strings.EqualFold(s.Name, name) || strings.EqualFold(s.Name, "LOSCFG_"+name) {
			return fmt.Errorf("there is no symbol %s in the menu: did you mean %s?", name, s.Name)
		}
	}
	return fmt.Errorf("there is no symbol %s in the menu: heapwright config list shows all", name)
}

func newConfigSet() *cobra.Command {
	var c configuration
	var bring bool
	cmd := &cobra.Command{
		Use:   "set SYMBOL=VALUE...",
		Short: "Change a configuration",
		Long: `Give symbols values, in the order given, and save the configuration. A value
that would have no effect is refused, with what is missing, and nothing is saved
then; with --depends the features that one depends on are switched on, too.
A device's configuration is changed with --kconfig only: heapwright's menu does
not have most of its symbols, and would lose them.

Exit codes: 0 saved, 2 wrong usage, refused, or a file that cannot be read or
written.`,
		Example: `  heapwright config set LOSCFG_DEBUG_VERSION=y LOSCFG_MEM_DEBUG=y \
      LOSCFG_MEM_HEAD_BACKUP=y
  heapwright config set --depends LOSCFG_MEM_LEAKCHECK=y LOS_RECORD_LR_CNT=8
  heapwright config set HEAPWRIGHT_POOL_NAME=cache --config pool.config
  heapwright config set LOSCFG_SHELL=n --kconfig firmware/Kconfig`,
		Args: args(1, 0, "at least one SYMBOL=VALUE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := c.opened(cmd); err != nil {
				return err
			}
			for _, g := range given {
				name, value, ok := strings.Cut(g, "=")
				if !ok {
					return usageError(cmd, fmt.Errorf("%q is no SYMBOL=VALUE", g))
				}
				if c.tree.Lookup(name) == nil {
					return usageError(cmd, c.noSymbol(name))
				}
				if bring && value == "y" {
					for _, b := range c.tree.Enable(name) {
						fmt.Fprintf(cmd.ErrOrStderr(), "heapwright: %s is switched on for %s\n", b, name)
					}
				}
				if err := c.tree.Set(name, value); err != nil {
					return err
				}
			}
			return c.save(c.file)
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&bring, "depends", false, "switch on what a feature depends on, too")
	return cmd
}

// setting is a symbol as config list shows it.
type setting struct {
	Symbol  string `json:"symbol"`
	Type    string `json:"type"`
	Value   string `json:"value"`
	Prompt  string `json:"prompt"`
	Visible bool   `json:"visible"`
	Missing string `json:"missing,omitempty"` // what keeps it from being set
}

func newConfigList() *cobra.Command {
	var c configuration
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all symbols with their values",
		Long: `List all symbols with their values and prompts. Symbols that cannot be set now
say what they need.

Exit codes: 0 listed, 2 wrong usage or an unreadable file.`,
		Example: `  heapwright config list
  heapwright config list --config device.config --format json
  heapwright config list --kconfig firmware/Kconfig`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError(cmd, fmt.Errorf("--format is text or json, not %q", format))
			}
			if err := c.opened(cmd); err != nil {
				return err
			}
			return listSettings(cmd.OutOrStdout(), c.tree, format == "json")
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of the output: text or json")
	return cmd
}

func listSettings(w io.Writer, t *kconfig.Tree, asJSON bool) error {
	settings := []setting{}
	wide := 0
	for _, s := range t.Symbols {
		v := setting{Symbol: s.Name, Type: s.Type().String(), Value: s.Value(), Visible: s.Visible(), Missing: s.Missing()}
		for _, n := range s.Nodes {
			if v.Prompt == "" {
				v.Prompt = n.Prompt
			}
		}
		wide = max(wide, len(s.Name))
		settings = append(settings, v)
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		e.SetEscapeHTML(false)
		return e.Encode(map[string]any{"symbols": settings})
	}
	width, _ := terminal(w)
	for _, s := range settings {
		what := s.Prompt
		if s.Missing != "" {
			_, needs, _ := strings.Cut(s.Missing, " needs ")
			what += " (needs " + needs + ")"
		}
		head := fmt.Sprintf("%-*s  %-4s  ", wide, s.Symbol, s.Value)
		if _, err := fmt.Fprintln(w, head+plain.Wrap(plain.Clean(what), width, len(head), len(head))); err != nil {
			return err
		}
	}
	return nil
}

func newConfigCheck() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration against the menu",
		Long: `Check a configuration, .config unless told otherwise: every value must be one
that the menu allows, and have an effect. Symbols that the menu does not have are
counted and do no harm: a device's configuration is about much more than memory.

Exit codes: 0 fine, 1 something has no effect, 2 wrong usage or an unreadable
file.`,
		Example: `  heapwright config check
  heapwright config check device.config
  heapwright config check --config pool.config
  heapwright config check firmware/.config --kconfig firmware/Kconfig`,
		Args: args(0, 1, "at most one FILE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				c.file = given[0]
			}
			problems, err := c.open()
			if err != nil {
				return err
			}
			if !c.exists {
				return fmt.Errorf("there is no file %s: heapwright menuconfig makes one", c.file)
			}
			wrong := 0
			for _, p := range problems {
				if !p.Unknown {
					wrong++
				}
			}
			for _, s := range problemTexts(problems) {
				fmt.Fprintln(cmd.OutOrStdout(), plain.Clean(s))
			}
			if wrong > 0 {
				return exitError{code: exitLeak}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: every value has its effect\n", c.file)
			return nil
		},
	}
	c.flags(cmd)
	return cmd
}

func newConfigDefault() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "default [FILE]",
		Short: "Write a configuration of all defaults (make defconfig)",
		Long: `Write a configuration in which everything has its default, all debugging off,
except what FILE says, which config minimal wrote.

Exit codes: 0 written, 2 wrong usage or a file that cannot be read or written.`,
		Example: `  heapwright config default
  heapwright config default defconfig
  heapwright config default --config pool.config
  heapwright config default --kconfig firmware/Kconfig`,
		Args: args(0, 1, "at most one FILE"),
		RunE: func(cmd *cobra.Command, given []string) (err error) {
			if c.tree, err = c.menu(); err != nil {
				return err
			}
			if len(given) > 0 {
				problems, err := c.load(given[0])
				if err != nil {
					return err
				}
				for _, s := range problemTexts(problems) {
					complain(cmd.ErrOrStderr(), "heapwright: warning: "+plain.Clean(s))
				}
			}
			return c.save(c.file)
		},
	}
	c.flags(cmd)
	return cmd
}

func newConfigMinimal() *cobra.Command {
	var c configuration
	var file string
	cmd := &cobra.Command{
		Use:   "minimal",
		Short: "Write only what differs from the defaults (make savedefconfig)",
		Long: `Write the values of a configuration that differ from their defaults: what is
worth keeping with the sources. config update makes a whole configuration of it.

Exit codes: 0 written, 2 wrong usage or a file that cannot be read or written.`,
		Example: `  heapwright config minimal
  heapwright config minimal --config pool.config -o pool.defconfig
  heapwright config minimal --kconfig firmware/Kconfig`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.opened(cmd); err != nil {
				return err
			}
			return replaceFile(file, func(w io.Writer) error { return c.tree.WriteMinimal(w, "") })
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVarP(&file, "output", "o", "defconfig", "write to `FILE`")
	return cmd
}

func newConfigUpdate() *cobra.Command {
	var c configuration
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Bring a configuration up to date with the menu (make olddefconfig)",
		Long: `Read a configuration, whole or minimal, and write it anew: what it does not
mention gets its default, what the menu does not have is dropped.

Exit codes: 0 written, 2 wrong usage or a file that cannot be read or written.`,
		Example: `  heapwright config update
  heapwright config update --config pool.config
  heapwright config update --kconfig firmware/Kconfig --config firmware/.config`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.opened(cmd); err != nil {
				return err
			}
			c.drop = true
			return c.save(c.file)
		},
	}
	c.flags(cmd)
	return cmd
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/meshfence/meshfence/deploy/build"
)

// builderVariable names the environment variable by which a workflow says what it is, as in https://github.com/OWNER/NAME/.github/workflows/release.yaml@refs/tags/v1.2.3.
const builderVariable = "MESHFENCE_BUILDER_ID"

// pushLimit bounds a push, also to a registry that does not answer.
const pushLimit = 15 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: build or push")
	}
	switch args[0] {
	case "build":
		return runBuild(args[1:])
	case "push":
		return runPush(ctx, args[1:])
	default:
		return fmt.Errorf("%q is neither build nor push", args[0])
	}
}

func runBuild(args []string) error {
	r := release{builder: os.Getenv(builderVariable)}
	var date, only string
	flags := flag.NewFlagSet("image build", flag.ContinueOnError)
	root := flags.String("root", ".", "`FOLDER` of the clone")
	out := flags.String("out", "bin/image", "`FOLDER` of the image layout, which is replaced")
	flags.StringVar(&r.version, "version", "dev", "`VERSION` of the release, as in v1.2.3")
	flags.StringVar(&r.commit, "commit", "", "whole `HASH` of the commit; none if the source is not exactly a commit")
	flags.StringVar(&date, "date", "", "`TIME` of the commit, RFC 3339: that of all files in the image")
	flags.StringVar(&r.ldflags, "ldflags", "-s -w", "`FLAGS` of the linker")
	flags.StringVar(&only, "platforms", "", "build for these only, comma-separated, for example linux/amd64")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := build.Choose(only, platforms())
	if err != nil {
		return err
	}
	// A build outside of a clone has no commit, and so no date.
	if r.date, err = time.Parse(time.RFC3339, date); err != nil {
		r.date = time.Unix(0, 0)
	}
	r.date = r.date.UTC()
	digest, err := r.layout(*root, *out, chosen)
	if err != nil {
		return err
	}
	fmt.Printf("%s has the image %s of %v.\n", *out, digest, chosen)
	if r.commit == "" {
		fmt.Println("It is not for others: " + noCommit + ".")
	}
	return nil
}

func runPush(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("image push", flag.ContinueOnError)
	from := flags.String("from", "bin/image", "`FOLDER` of the image layout")
	only := flags.String("platforms", "", "the image may lack all others, comma-separated, for example linux/amd64")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := build.Choose(*only, platforms())
	if err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("say where to, as in make push IMAGE=registry.example.com/meshfence:v1.2.3")
	}
	ctx, cancel := context.WithTimeout(ctx, pushLimit)
	defer cancel()
	ref, err := push(ctx, *from, flags.Arg(0), wanted)
	if err != nil {
		return err
	}
	fmt.Println(ref)
	return nil
}

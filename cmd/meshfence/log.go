package main

import (
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// newLogger builds the program's logger. Format is auto, json or console; level is error, info or debug.
func newLogger(format, level string, out io.Writer) (logr.Logger, *zap.Logger, error) {
	encoder, err := newEncoder(format, isTerminal(out))
	if err != nil {
		return logr.Logger{}, nil, err
	}
	enabled, err := parseLevel(level)
	if err != nil {
		return logr.Logger{}, nil, err
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), enabled)
	logger := zap.New(core)
	return zapr.NewLogger(logger), logger, nil
}

func newEncoder(format string, terminal bool) (zapcore.Encoder, error) {
	fields := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg", LineEnding: zapcore.DefaultLineEnding,
		EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	}
	switch {
	case format == "json", format == "auto" && !terminal:
		return zapcore.NewJSONEncoder(fields), nil
	case format == "console", format == "auto":
		fields.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		fields.EncodeLevel = zapcore.CapitalLevelEncoder
		return zapcore.NewConsoleEncoder(fields), nil
	}
	return nil, fmt.Errorf("--log-format %q is not one of auto, json, console", format)
}

// parseLevel knows only the levels that --help names: zap has more, but logr cannot log at them.
func parseLevel(level string) (zapcore.Level, error) {
	switch level {
	case "error":
		return zapcore.ErrorLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "debug":
		return zapcore.DebugLevel, nil
	}
	return 0, fmt.Errorf("--log-level %q is not one of error, info, debug", level)
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// useLogger makes everything that has a logger of its own write through ours: controller-runtime, client-go (klog), and
// net/http's server, which tells the standard library's logger about failed TLS handshakes.
func useLogger(logger logr.Logger, standard *zap.Logger) {
	log.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
	// The level is always valid here.
	_, _ = zap.RedirectStdLogAt(standard.Named("std"), zapcore.InfoLevel)
}

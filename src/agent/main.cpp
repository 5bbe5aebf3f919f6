// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "agent/agent.h"
#include "agent/files.h"
#include "base/log.h"
#include "config/config.h"
#include "http/app.h"
#include "http/server.h"
#include "kernel/linux_kernel.h"
#include "kernel/program.h"
#include "observe/changes/module_rings.h"
#include "observe/changes/stream.h"
#include "observe/go/capture.h"

namespace {

using namespace mapshift;

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

void print(const Error& error) {
  std::cerr << "mapshiftd: " << error.message << "\n";
  for (const Problem& problem : error.problems) std::cerr << "  " << (problem.where.empty() ? "" : problem.where + ": ") << problem.message << "\n";
  if (!error.context.empty()) std::cerr << error.context << "\n";
}

// The signals that end or reload the agent, blocked in every thread and waited for by this one.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

std::string address(const config::Listen& listen) { return listen.host + ":" + std::to_string(listen.port); }

Status serve(const config::Config& config, const std::string& config_path) {
  MS_CHECK(agent::make_dirs(config.run_dir));
  MS_CHECK(agent::prepare_bpffs(config.bpffs));
  MS_TRY(const std::string token, agent::read_or_make_token(config.token_file));
  MS_TRY(const std::string rollback_token, agent::read_or_make_token(config.rollback_token_file));
  MS_TRY(auto store, store::Store::open(config.state_dir));
  MS_TRY(const Fd run_stats, enable_run_stats());  // runs and run time of BPF programs count while this is open
  metrics::Metrics metrics(MAPSHIFT_VERSION);
  agent::Agent agent(config, config_path, make_linux_kernel(), std::move(store), metrics, observe::go::start_capture,
                     {observe::changes::open_stream, observe::changes::start_module_rings});
  http::App app(agent, metrics, http::standard_codec());
  const auto set_tokens = [&](const std::string& all, const std::string& rollback) {
    app.set_token(all);
    app.set_rollback_token(rollback);
  };
  set_tokens(token, rollback_token);
  agent.on_tokens(set_tokens);

  const auto refused = [&](int status) { app.count_refused(status); };
  MS_TRY(auto metrics_server, http::Server::start({address(config.metrics), 8, refused},
                                                  [&](http::Request& request) { return app.handle(http::Listener::kMetrics, request); }));
  MS_TRY(auto api_server, http::Server::start({address(config.api), http::App::kOrdinaryThreads + http::App::kMaxStreams, refused},
                                              [&](http::Request& request) { return app.handle(http::Listener::kApi, request); }));
  MS_CHECK(agent::write_agent_file(config.run_dir, metrics_server->address(), api_server->address()));
  log::info("listening", {{"metrics", metrics_server->address()}, {"api", api_server->address()}});
  for (const std::string& text : config::not_served(config)) log::warn(text);
  metrics.config_reloaded(true);
  agent.recover();

  const sigset_t signals = handled_signals();
  for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGHUP;) {
    if (Status reloaded = agent.reload(); !reloaded) {
      log::error("the configuration was not reloaded", {{"error", reloaded.error().message}});
    }
  }
  log::info("stopping; what is attached goes on running");
  agent.stop();
  api_server->stop();
  metrics_server->stop();
  ::unlink((config.run_dir + "/agent.json").c_str());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli("mapshiftd: hot-updates stateful eBPF modules on this host");
  cli.footer("Example: mapshiftd --config /etc/mapshift/mapshift.json\nStops on SIGTERM within 5 s and leaves what is attached running; SIGHUP reads the configuration again.");
  std::string path;
  bool check = false;
  cli.add_option("--config", path, "Configuration file (JSON); {} is a valid one")->required();
  cli.add_flag("--check", check, "Validate the configuration and exit");
  cli.set_version_flag("--version", "mapshiftd " MAPSHIFT_VERSION);
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = cli.exit(error);
    return status == 0 ? kOk : kUsage;
  }
  const auto config = config::load_config(path);
  if (!config) {
    print(config.error());
    return kFailed;
  }
  if (check) {
    std::cout << path << ": ok\n";
    return kOk;
  }
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  if (Status served = serve(*config, path); !served) {
    print(served.error());
    return kFailed;
  }
  return kOk;
}

// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <civetweb.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "http/address.h"
#include "http/connection.h"
#include "http/framing.h"
#include "http/problem.h"

namespace mapshift::http {

struct Server::Impl {
  ServerOptions options;
  Handler handler;
  Address address;
  std::string text;
  mg_context* context = nullptr;
  std::string complaint;  // civetweb's last message while it starts; not used later
  std::atomic<bool> starting = true, stopping = false;
  std::mutex mutex;
  std::condition_variable idle;
  int serving = 0;  // requests, guarded by `mutex`

  struct Serving {  // one request that stop() waits for
    Impl& server;
    explicit Serving(Impl& impl) : server(impl) {
      const std::lock_guard lock(server.mutex);
      ++server.serving;
    }
    ~Serving() {
      const std::lock_guard lock(server.mutex);
      --server.serving;
      server.idle.notify_all();
    }
  };

  Response answer(Connection& connection, Request& request, const Framing& framing);
  void serve(mg_connection* raw);
  static int on_request(mg_connection* raw);
  static int on_error(mg_connection* raw, int status, const char* message);
  static int on_log(const mg_connection* raw, const char* message);
};

namespace {

constexpr auto kDrainTime = std::chrono::milliseconds(700);

void init_library() {
  static std::once_flag once;
  std::call_once(once, [] { ::mg_init_library(MG_FEATURES_DEFAULT); });
}

}  // namespace

Response Server::Impl::answer(Connection& connection, Request& request, const Framing& framing) {
  if (framing.refusal) {
    if (options.refused) options.refused(framing.refusal->status);
    return *framing.refusal;
  }
  request.stopping = [this] { return stopping.load(); };
  request.read_body = [&] { return connection.read_body(framing.body_length, framing.wants_continue); };
  try {
    return handler(request);
  } catch (const std::exception& error) {
    return problem({ErrorCode::kInternal, 0, std::string("The request could not be served: ") + error.what(), {}, {}});
  }
}

void Server::Impl::serve(mg_connection* raw) {
  const Serving counted(*this);
  Connection connection(raw);
  Request request = connection.request();
  const Framing framing = frame(request);
  const Response response = answer(connection, request, framing);
  if (response.stream && request.method != "HEAD")
    connection.send_stream(response, [this] { return stopping.load(); });
  else
    connection.send(response, request.method != "HEAD");
  // Who waits for "100 Continue" and did not get it sends nothing.
  if (!framing.wants_continue) connection.drain(framing.body_length, request.trusted);
  connection.close();
}

// Called by C code: nothing may be thrown through it.
int Server::Impl::on_request(mg_connection* raw) {
  try {
    static_cast<Impl*>(::mg_get_user_data(::mg_get_context(raw)))->serve(raw);
  } catch (const std::exception&) {
    // Memory is short: the client sees the connection close.
  }
  return 1;
}

// What civetweb itself refuses: malformed and oversized heads.
int Server::Impl::on_error(mg_connection* raw, int status, const char* message) {
  try {
    const auto* self = static_cast<const Impl*>(::mg_get_user_data(::mg_get_context(raw)));
    if (self->options.refused) self->options.refused(status);
    Connection(raw).send(problem(status, "bad-request", std::string("The request cannot be read: ") + message), true);
  } catch (const std::exception&) {
  }
  return 0;
}

int Server::Impl::on_log(const mg_connection* raw, const char* message) {
  auto* self = static_cast<Impl*>(::mg_get_user_data(::mg_get_context(raw)));
  if (self != nullptr && self->starting) self->complaint = message;
  return 1;  // clients' mistakes are counted, not logged
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(); }

const std::string& Server::address() const { return impl_->text; }

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, Handler handler) {
  auto impl = std::make_unique<Impl>();
  MS_TRY(impl->address, parse_address(options.listen));
  MS_CHECK(try_address(impl->address));  // for the reason, which the library does not give
  impl->options = options;
  impl->handler = std::move(handler);
  init_library();

  mg_callbacks callbacks{};
  callbacks.begin_request = &Impl::on_request;
  callbacks.http_error = &Impl::on_error;
  callbacks.log_message = &Impl::on_log;
  const std::string port = to_string(impl->address), threads = std::to_string(std::max(options.threads, 8));
  // No document_root: nothing is served from files. Paths are decoded here, segment by segment.
  const char* settings[] = {"listening_ports", port.c_str(), "num_threads", threads.c_str(), "request_timeout_ms", "3000",
                            "enable_keep_alive", "no", "max_request_size", "16384", "decode_url", "no", "tcp_nodelay", "1", nullptr};
  impl->context = ::mg_start(&callbacks, impl.get(), settings);
  impl->starting = false;
  if (impl->context == nullptr)
    return fail(ErrorCode::kUnavailable, "cannot listen on " + port + ": " + impl->complaint);
  mg_server_port taken{};
  if (::mg_get_server_ports(impl->context, 1, &taken) == 1) impl->address.port = static_cast<uint16_t>(taken.port);
  impl->text = to_string(impl->address);
  bound_connections(impl->address);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::stop() {
  if (impl_->context == nullptr) return;
  impl_->stopping = true;
  {
    // After mg_stop() nothing more is written, so those who wait get their answer before.
    std::unique_lock lock(impl_->mutex);
    impl_->idle.wait_for(lock, kDrainTime, [this] { return impl_->serving == 0; });
  }
  // The accepting thread looks at the stop flag every 2 s, or after each connection.
  std::atomic<bool> stopped = false;
  std::thread waker([&] {
    while (!stopped) {
      knock(impl_->address);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  ::mg_stop(impl_->context);
  stopped = true;
  waker.join();
  impl_->context = nullptr;
}

}  // namespace mapshift::http

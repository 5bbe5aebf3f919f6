// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <thread>

#include "agent/prepare.h"
#include "ledger.h"
#include "update/run.h"

namespace mapshift::test {

// Two connected TCP sockets, over loopback.
struct Connection {
  Fd client, server;
};
// `congestion`: the client's congestion control; empty: the system's. Neither socket is valid when the system refused.
[[nodiscard]] Connection connect_tcp(const std::string& congestion = {});
// One byte from the client to the server, which has been read when it returns.
[[nodiscard]] bool talk(const Connection& connection);

// A module of the fixture links_NAME in both of its layouts, and the update from one to the other as the agent does it.
class LinksTest : public RuntimeTest {
 protected:
  // The fixture's name, and the members of the manifest's "programs".
  void describe(std::string fixture, std::string programs);
  // Loads and attaches the first layout. The refusals of its plan, where there are some: nothing was done then.
  [[nodiscard]] std::vector<Problem> load();
  [[nodiscard]] update::Plan plan();
  // Begins the update; returns when it bakes.
  void start_update();
  // Ends the bake by an order, and returns the record at the update's end.
  [[nodiscard]] update::UpdateRecord end_update(update::Order order);

  // What a generation's own map says, and what happened in programs of a layout.
  [[nodiscard]] uint64_t counted(int generation, int layout) const;
  [[nodiscard]] uint64_t truth(int layout) const;

  void TearDown() override;

 private:
  [[nodiscard]] Result<agent::Prepared> prepare(int layout) const;
  std::string fixture_, programs_;
  std::unique_ptr<update::Journal> journal_;
  std::unique_ptr<update::Observer> observer_;
  std::unique_ptr<update::Run> run_;
  std::jthread thread_;
};

}  // namespace mapshift::test

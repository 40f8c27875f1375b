#pragma once
// What each control message does in each state: two tables, nothing else decides it.
#include <array>
#include <cstdint>

#include "vmbus-model/spec/protocol.h"

namespace hvsim::vmbus {

/// State of the connection with the guest.
enum class ConnectionState : std::uint8_t {
    disconnected,
    connected,      ///< a version is agreed on; nothing was offered yet
    offering,       ///< RequestOffers was received: offers go out whenever there are some
    disconnecting,  ///< providers finish what they began; the answer to the guest waits for them
};
inline constexpr std::size_t kConnectionStates = 4;

/// State of a channel as the guest may know it.
enum class ChannelState : std::uint8_t {
    unoffered,  ///< no relid: not offered on this connection (yet)
    released,   ///< no relid: the guest gave it back; not offered again on this connection
    offered,    ///< closed
    open,
    closing,         ///< closed by the guest; the provider has not released it yet
    closing_reopen,  ///< ... and the guest opened it again meanwhile
    revoked,         ///< rescinded; the relid stays reserved until RelIdReleased
};
inline constexpr std::size_t kChannelStates = 7;

enum class Rule : std::uint8_t {
    perform,
    defer,       ///< remember it until the state allows it
    refuse,      ///< answer with a failure, if the message has an answer
    ignore,      ///< legal, nothing to do
    unexpected,  ///< a protocol error of the guest: counted, no answer exists
};

/// A message that depends on the connection only by these columns. `defer`: the latest one decides
/// what happens when the disconnection is over.
struct ConnectionRule {
    spec::MessageType type;
    std::array<Rule, kConnectionStates> rules;  // disconnected, connected, offering, disconnecting
};

inline constexpr std::array kConnectionRules{
    ConnectionRule{spec::MessageType::kInitiateContact,
                   {Rule::perform, Rule::perform, Rule::perform, Rule::defer}},
    ConnectionRule{spec::MessageType::kUnload,
                   {Rule::perform, Rule::perform, Rule::perform, Rule::defer}},
    ConnectionRule{spec::MessageType::kRequestOffers,
                   {Rule::unexpected, Rule::perform, Rule::unexpected, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kTlConnectRequest,
                   {Rule::unexpected, Rule::refuse, Rule::refuse, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kOpenChannel,
                   {Rule::unexpected, Rule::refuse, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kCloseChannel,
                   {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kGpadlHeader,
                   {Rule::unexpected, Rule::refuse, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kGpadlBody,
                   {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kGpadlTeardown,
                   {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kModifyChannel,
                   {Rule::unexpected, Rule::refuse, Rule::perform, Rule::unexpected}},
    ConnectionRule{spec::MessageType::kRelIdReleased,
                   {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::unexpected}},
};

/// A message that names a channel, when the connection's rule says perform. The first two columns
/// are also those of a relid that does not exist.
struct ChannelRule {
    spec::MessageType type;
    // unoffered, released, offered, open, closing, closing_reopen, revoked
    std::array<Rule, kChannelStates> rules;
};

inline constexpr std::array kChannelRules{
    ChannelRule{spec::MessageType::kOpenChannel,
                {Rule::refuse, Rule::refuse, Rule::perform, Rule::refuse, Rule::defer, Rule::refuse,
                 Rule::refuse}},
    ChannelRule{spec::MessageType::kCloseChannel,
                {Rule::unexpected, Rule::unexpected, Rule::unexpected, Rule::perform,
                 Rule::unexpected, Rule::perform, Rule::ignore}},
    ChannelRule{spec::MessageType::kGpadlHeader,
                {Rule::refuse, Rule::refuse, Rule::perform, Rule::perform, Rule::perform,
                 Rule::perform, Rule::perform}},
    ChannelRule{spec::MessageType::kGpadlTeardown,
                {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::perform, Rule::perform,
                 Rule::perform, Rule::perform}},
    ChannelRule{spec::MessageType::kModifyChannel,
                {Rule::refuse, Rule::refuse, Rule::refuse, Rule::perform, Rule::refuse,
                 Rule::refuse, Rule::refuse}},
    ChannelRule{spec::MessageType::kRelIdReleased,
                {Rule::unexpected, Rule::unexpected, Rule::perform, Rule::unexpected, Rule::perform,
                 Rule::unexpected, Rule::perform}},
};

constexpr Rule rule_for(spec::MessageType type, ConnectionState state) {
    for (const ConnectionRule& row : kConnectionRules)
        if (row.type == type) return row.rules[static_cast<std::size_t>(state)];
    return Rule::unexpected;
}

constexpr Rule rule_for(spec::MessageType type, ChannelState state) {
    for (const ChannelRule& row : kChannelRules)
        if (row.type == type) return row.rules[static_cast<std::size_t>(state)];
    return Rule::unexpected;
}

}  // namespace hvsim::vmbus

#pragma once
// Ports and connections (TLFS 11.2): a port belongs to the partition that receives, a connection
// to the partition that sends.
#include <cstdint>
#include <map>

#include "hypervisor-model/spec/identity.h"
#include "hypervisor-model/spec/synic.h"

namespace hvsim::hv {

/// Messages that may wait in one message port: one page of buffers.
inline constexpr std::uint32_t kPortMessageBuffers = 16;

struct Port {
    PortType type = PortType::message;
    std::uint32_t sint = 0;
    VpIndex vp = 0;  ///< or kAnyVp
    std::uint16_t base_flag = 0;
    std::uint16_t flag_count = 0;
    PartitionId connection_partition = kInvalidPartition;  ///< who may connect
    std::uint32_t connections = 0;
    std::uint32_t waiting = 0;      ///< messages not yet in the guest's slot
    std::uint64_t buffer_page = 0;  ///< message ports: system page of the pool
    std::uint64_t posted = 0;
    std::uint64_t signaled = 0;
};

struct Connection {
    PortType type = PortType::message;
    PartitionId port_partition = kInvalidPartition;
    PortId port = 0;
};

}  // namespace hvsim::hv

#pragma once
// Layouts and numbers of the public "Hypervisor Top Level Functional Specification" (TLFS), v6.0b
// and its later web revisions, and of the public headers that describe the same interface. This
// folder restates them; behaviour lives beside it. Integers are little endian.
#include <array>
#include <cstdint>
#include <string_view>

namespace hvsim::hv {

// Hypercall status codes (TLFS appendix B): number, name.
#define HVSIM_HV_STATUSES(X)                   \
    X(0x0000, success)                         \
    X(0x0002, invalid_hypercall_code)          \
    X(0x0003, invalid_hypercall_input)         \
    X(0x0004, invalid_alignment)               \
    X(0x0005, invalid_parameter)               \
    X(0x0006, access_denied)                   \
    X(0x0007, invalid_partition_state)         \
    X(0x0008, operation_denied)                \
    X(0x0009, unknown_property)                \
    X(0x000a, property_value_out_of_range)     \
    X(0x000b, insufficient_memory)             \
    X(0x000c, partition_too_deep)              \
    X(0x000d, invalid_partition_id)            \
    X(0x000e, invalid_vp_index)                \
    X(0x0010, not_found)                       \
    X(0x0011, invalid_port_id)                 \
    X(0x0012, invalid_connection_id)           \
    X(0x0013, insufficient_buffers)            \
    X(0x0014, not_acknowledged)                \
    X(0x0015, invalid_vp_state)                \
    X(0x0016, acknowledged)                    \
    X(0x0017, invalid_save_restore_state)      \
    X(0x0018, invalid_synic_state)             \
    X(0x0019, object_in_use)                   \
    X(0x001a, invalid_proximity_domain_info)   \
    X(0x001b, no_data)                         \
    X(0x001c, inactive)                        \
    X(0x001d, no_resources)                    \
    X(0x001e, feature_unavailable)             \
    X(0x001f, partial_packet)                  \
    X(0x0020, processor_feature_not_supported) \
    X(0x0033, insufficient_buffer)             \
    X(0x0037, incompatible_processor)          \
    X(0x0041, invalid_lp_index)                \
    X(0x0050, invalid_register_value)          \
    X(0x0051, invalid_vtl_state)               \
    X(0x0057, invalid_device_id)               \
    X(0x0058, invalid_device_state)            \
    X(0x0065, key_already_exists)              \
    X(0x0071, operation_failed)                \
    X(0x0073, insufficient_root_memory)        \
    X(0x0078, timeout)                         \
    X(0x0087, unknown_register_name)

/// HV_STATUS.
enum class HvStatus : std::uint16_t {
#define HVSIM_HV_STATUS_ENUM(number, name) name = number,
    HVSIM_HV_STATUSES(HVSIM_HV_STATUS_ENUM)
#undef HVSIM_HV_STATUS_ENUM
};

constexpr std::string_view status_name(HvStatus status) {
    switch (status) {
#define HVSIM_HV_STATUS_CASE(number, name) \
    case HvStatus::name:                   \
        return #name;
        HVSIM_HV_STATUSES(HVSIM_HV_STATUS_CASE)
#undef HVSIM_HV_STATUS_CASE
    }
    return "unknown";
}

}  // namespace hvsim::hv

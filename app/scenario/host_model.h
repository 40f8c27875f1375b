#pragma once
// The processor model that a scenario's host has.
#include "app/scenario/scenario.h"
#include "cpu/models/model.h"

namespace hvsim::app {

inline cpu::Vendor vendor_of(Vendor vendor) {
    return vendor == Vendor::intel ? cpu::Vendor::intel : cpu::Vendor::amd;
}

/// By name, or else by vendor. The reader has checked the name.
inline const cpu::Model& host_model(const HostConfig& host) {
    const cpu::Model* const named = cpu::find_model(host.model);
    return named != nullptr ? *named : cpu::default_model(vendor_of(host.vendor));
}

}  // namespace hvsim::app

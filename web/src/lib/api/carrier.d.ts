// Generated from openapi/carrier.json by `npm run api`; do not edit.

export interface paths {
    "/.well-known/parcelshelf": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who this carrier is. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Hires a courier; the token is shown once. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["NewCourier"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CourierOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/couriers/{courier}/device": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says which certified device a courier uses. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    courier: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["DeviceIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Deliveries, by state. */
        get: {
            parameters: {
                query?: {
                    /** @description `requested`, `accepted`, `loaded`, `leg`, `at_stop`, `falling_back`, `ended`. */
                    state?: string;
                    cursor?: string;
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One delivery. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/arrived": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier is at the stop. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Nothing goes into the car: every parcel takes its fallback. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CancelIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/fallback-done": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** A parcel reached its fallback. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ParcelIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/finish": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier leaves the stop; parcels without an outcome fall back. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/journal": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What happened to a delivery, with times rounded to a quarter of an hour. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/leg": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The courier sets out for this stop: the answer is the stop page's address. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["LegOut"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/load": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts a delivery on a courier's van. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["CourierIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/parcels/{parcel}/outcome": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What became of a parcel. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                    parcel: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["OutcomeIn"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/deliveries/{delivery}/unload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes a delivery off the van, for another courier. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    delivery: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/shipments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Posts a shipment: one delivery into one car, with one to eight parcels. */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["NewShipment"];
                };
            };
            responses: {
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/shipments/{shipment}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A shipment and its deliveries. */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    shipment: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": unknown;
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        CancelIn: {
            /** @description A reason code; `blocked_by_owner` and `not_confirmed` are the usual ones. */
            reason: string;
        };
        CourierIn: {
            courier: string;
        };
        CourierOut: {
            courier: string;
            /** @description Shown once. */
            token: string;
        };
        DeviceIn: {
            /** @description Thumbprint. */
            device: string;
        };
        LegOut: {
            stop_url: string;
        };
        MerchantIn: {
            /** @description Printable ASCII. */
            id: string;
            name: string;
        };
        NewCourier: {
            name: string;
        };
        NewParcel: {
            /** @description As printed; 4 to 48 letters and digits count. */
            label: string;
            /** @description Length, width, height in millimetres. */
            size_mm: number[];
            /** Format: int32 */
            weight_g: number;
            /**
             * Format: int64
             * @description In the currency's smallest unit.
             */
            value_minor: number;
            /** @description ISO 4217. */
            currency: string;
            /** @description `signature`, `age_check`, `cash_on_delivery`, `customs`, `live_goods`, `aerosol`, `loose_lithium_cells`, `medicine`. */
            flags?: string[];
            /** @description `put` into the car, or `take` out of it. */
            direction: string;
            /**
             * Format: int32
             * @description How long the goods bear a hot or cold car.
             */
            bears_minutes_in_car?: number | null;
        };
        NewShipment: {
            merchant: components["schemas"]["MerchantIn"];
            recipient: components["schemas"]["Recipient"];
            parcels: components["schemas"]["NewParcel"][];
            window: components["schemas"]["WindowIn"];
            /** @description `address`, `parcel_shop`, `next_window`, `return`; best first, each once. */
            fallbacks: string[];
        };
        /** @description An empty JSON object, for requests that need no members. */
        Nothing: Record<string, never>;
        /** @description What became of a parcel. `reason` belongs to `not_done`. */
        OutcomeIn: {
            outcome: components["schemas"]["OutcomeWord"];
            reason?: string | null;
            fallback?: string | null;
        };
        /** @enum {string} */
        OutcomeWord: "done" | "not_done";
        ParcelIn: {
            parcel: string;
        };
        /** @description The members of a problem, for the OpenAPI documents. */
        Problem: {
            /**
             * @description Relative address of a page about this code.
             * @example /problems/body_not_json
             */
            type: string;
            title: string;
            /** Format: int32 */
            status: number;
            /** @description Stable; branch on this. */
            code: string;
            /** @description What to do. */
            detail?: string | null;
            /**
             * Format: int64
             * @description Ask again after this many seconds.
             */
            retry_after_s?: number | null;
        };
        Recipient: {
            name: string;
            fallback_address: string;
        };
        /** @description RFC 3339; two or four hours. */
        WindowIn: {
            start: string;
            end: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
